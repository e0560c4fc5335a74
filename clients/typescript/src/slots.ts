/** A browser opens six connections to a server, all tabs together (HTTP/1.1): streams have to leave some for everything else. */

const SLOTS = 4

let taken = 0

/** Do the work in one of the slots that all tabs share; `otherwise` where none is free. Outside of browsers there is no limit. */
export async function inSlot<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
  if (!globalThis.location) return work()
  const locks = globalThis.navigator?.locks
  if (!locks) return counted(work, otherwise)
  let hasBegun = false
  const begin = (): Promise<T> => {
    hasBegun = true
    return work()
  }
  try {
    for (let slot = 0; slot < SLOTS && !hasBegun; slot += 1) {
      const done = await locks.request(`imagejobs-stream-${slot}`, { ifAvailable: true }, (lock) => (lock ? begin() : otherwise))
      if (hasBegun) return done
    }
    return otherwise
  } catch (error) {
    if (hasBegun) throw error
    return counted(work, otherwise) // a page that may not lock
  }
}

/** The same for this page alone, where it is not served securely. */
async function counted<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
  if (taken >= SLOTS) return otherwise
  taken += 1
  try {
    return await work()
  } finally {
    taken -= 1
  }
}
