/** Calls to the service: the token, a deadline for each, bounded repeats, refusals as typed errors. */
import { AuthError, isImageJobError, PermanentError, refusal, unreachable } from './errors.js'
import { bounded, jittered, pause, TimeIsUp } from './time.js'

/** `rejected` is the token that the service just refused: give another one, if there is one. */
export type TokenSource = (asked: { readonly rejected?: string }) => string | null | undefined | Promise<string | null | undefined>

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | readonly string[] | null | undefined>>
  readonly json?: unknown
  readonly body?: Blob
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
  /** For one try, body included. */
  readonly timeoutMs?: number
  /** How often it is asked in all, at most. */
  readonly attempts?: number
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

export interface TransportOptions {
  readonly address: () => string
  readonly token: TokenSource
  readonly fetch: typeof fetch
}

const ATTEMPTS = 5
const REQUEST_MS = 20_000
const FIRST_PAUSE_MS = 300
const LONGEST_PAUSE_MS = 8_000
const LONGEST_ASKED_MS = 30_000 // a service that asks to wait for longer is not waited for: the page should say so
const REPEATED = new Set([408, 429, 500, 502, 503, 504])

export class Transport {
  readonly #options: TransportOptions
  constructor(options: TransportOptions) {
    this.#options = options
  }

  /**
   * The answer, asked for again where there was none or the service may answer better soon: the call must be one that may be
   * repeated. Rejects with an `ImageJobError`; 304 is an answer, and so is 404 where a try that may have removed the thing came before.
   */
  async send(call: Call): Promise<Answer> {
    const attempts = call.attempts ?? ATTEMPTS
    let mayBeDone = false
    for (let attempt = 1; ; attempt += 1) {
      const found = await this.#try(call)
      if (!(found instanceof Error)) return found
      if (call.method === 'DELETE' && found.status === 404 && mayBeDone) return { status: 204, headers: new Headers(), body: undefined }
      mayBeDone ||= found.status === null || found.status >= 500
      const asked = found.retryAfterSeconds === null ? null : found.retryAfterSeconds * 1000
      const mayRepeat = found.status === null || REPEATED.has(found.status)
      if (!mayRepeat || attempt >= attempts || (asked !== null && asked > LONGEST_ASKED_MS)) throw found
      await pause(asked ?? jittered(Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), LONGEST_PAUSE_MS)), call.signal)
    }
  }

  async #try(call: Call): Promise<Answer | ReturnType<typeof refusal>> {
    const ms = call.timeoutMs ?? REQUEST_MS
    try {
      return await bounded(ms, call.signal, async (signal) => {
        const response = await this.open({ ...call, signal })
        const body = await parsed(response)
        if (!response.ok && response.status !== 304) return refusal(response.status, body, retryAfter(response.headers))
        if (response.ok && response.status !== 204 && body === undefined) throw new SyntaxError('no JSON')
        return { status: response.status, headers: response.headers, body }
      })
    } catch (error) {
      if (call.signal?.aborted) throw error
      if (error instanceof PermanentError) throw error
      if (error instanceof AuthError) return error
      const why = error instanceof TimeIsUp ? `no answer within ${ms / 1000} s` : wordsOf(error)
      return unreachable(`${this.#options.address() || 'The service'} does not answer as it should: ${why}.`, error)
    }
  }

  /** One try, with the body still to be read; a refused token is replaced once. The caller sees to deadlines. */
  async open(call: Call): Promise<Response> {
    const token = await this.#token({})
    const first = await this.#fetch(call, token)
    if (first.status !== 401 || !token) return first
    const other = await this.#token({ rejected: token })
    if (!other || other === token) return first
    await first.body?.cancel()
    return this.#fetch(call, other)
  }

  async #token(asked: { readonly rejected?: string }): Promise<string | null | undefined> {
    try {
      return await this.#options.token(asked)
    } catch (error) {
      if (isImageJobError(error)) throw error
      throw new AuthError({ reason: 'token_unavailable', detail: `There is no token to ask with: ${wordsOf(error)}.`, cause: error })
    }
  }

  #fetch(call: Call, token: string | null | undefined): Promise<Response> {
    const headers = new Headers({ accept: 'application/json', ...call.headers })
    if (token) headers.set('authorization', `Bearer ${token}`)
    if (call.json !== undefined) headers.set('content-type', 'application/json')
    const { fetch } = this.#options // called without a receiver, as browsers demand
    return fetch(this.#url(call), {
      method: call.method,
      headers,
      body: call.json === undefined ? (call.body ?? null) : JSON.stringify(call.json),
      signal: call.signal ?? null,
      credentials: 'omit',
      cache: 'no-store', // the ETag is ours to send; a browser's cache would hide the 304
    })
  }

  #url(call: Call): string {
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(call.query ?? {})) {
      for (const one of [value ?? []].flat()) query.append(name, one)
    }
    const address = this.#options.address().replace(/\/+$/, '') + call.path
    return query.size === 0 ? address : `${address}?${query}`
  }
}

/** Seconds that the answer asks to wait, written as a number or as a date. */
export function retryAfter(headers: Headers, now = Date.now()): number | null {
  const text = headers.get('retry-after')?.trim()
  if (!text) return null
  if (/^\d+$/.test(text)) return Number(text)
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - now) / 1000))
}

async function parsed(response: Response): Promise<unknown> {
  const text = await response.text()
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const inner = error.cause instanceof Error ? error.cause.message : ''
  return (inner || error.message || error.name).replace(/\.$/, '')
}
