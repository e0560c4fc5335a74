/** What this browser asked for, so that a reload or another tab comes back to it. No key and no token is kept here. */
import type { ImageRequest } from 'imagejobs'

export interface Asked {
  readonly api: string
  /** Made before anything is sent: a reload in between sends the same once more, and finds the same job. */
  readonly idempotencyKey: string
  readonly request: ImageRequest
  readonly jobId: string | null
}

const NAME = 'imagejobs-example'
const MOST = 24

/** Oldest first. */
export function remembered(api: string): Asked[] {
  return everything().filter((one) => one.api === api)
}

export function remember(asked: Asked): void {
  const all = everything()
  const at = all.findIndex((one) => one.idempotencyKey === asked.idempotencyKey)
  all.splice(at < 0 ? all.length : at, 1, asked)
  localStorage.setItem(NAME, JSON.stringify(all.slice(-MOST)))
}

export function forget(api: string): void {
  localStorage.setItem(NAME, JSON.stringify(everything().filter((one) => one.api !== api)))
}

function everything(): Asked[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(NAME) ?? '[]')
    return Array.isArray(found) ? found : []
  } catch {
    return []
  }
}
