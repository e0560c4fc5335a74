/** Waiting that ends. Times are in milliseconds. */

/** Thrown inside `bounded` once its time is over; never leaves the client. */
export class TimeIsUp extends Error {}

/** Wait; rejects with the signal's reason as soon as it is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(reasonOf(signal))
    const finish = (): void => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }
    const timer = setTimeout(finish, ms)
    const stop = (): void => {
      clearTimeout(timer)
      reject(reasonOf(signal))
    }
    signal?.addEventListener('abort', stop, { once: true })
  })
}

/**
 * Do `work`, for at most `ms`: then its signal is aborted and `TimeIsUp` is thrown, whether the work listens or not.
 * An abort of the outer signal rejects with that signal's reason.
 */
export async function bounded<T>(ms: number, outer: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  if (outer?.aborted) throw reasonOf(outer)
  const inner = new AbortController()
  const ended = new Promise<never>((_, reject) => {
    inner.signal.addEventListener('abort', () => reject(reasonOf(inner.signal)), { once: true })
  })
  const forward = (): void => inner.abort(reasonOf(outer))
  outer?.addEventListener('abort', forward, { once: true })
  const timer = setTimeout(() => inner.abort(new TimeIsUp()), Math.min(Math.max(ms, 0), LONGEST))
  const working = (async () => work(inner.signal))()
  working.catch(() => undefined) // where the race is lost, nobody else listens
  try {
    return await Promise.race([working, ended])
  } finally {
    clearTimeout(timer)
    outer?.removeEventListener('abort', forward)
  }
}

/** Between half and one and a half times as long, so that many pages do not ask in step. */
export const jittered = (ms: number): number => ms * (0.5 + Math.random())

const LONGEST = 2 ** 31 - 1 // what a timer can hold

function reasonOf(signal: AbortSignal | undefined): unknown {
  return signal?.reason ?? new DOMException('The operation was aborted.', 'AbortError')
}
