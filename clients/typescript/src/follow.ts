/** Following a job to its end: by its events where the service streams them, else by asking again and again. */
import type { EventBody, JobBody, JobStatus } from './api.js'
import { failureOf, isImageJobError, isRecord, refusal, timedOut, unexpected, type AnyImageJobError } from './errors.js'
import { inSlot } from './slots.js'
import { EventStreamParser } from './sse.js'
import { bounded, jittered, pause, TimeIsUp } from './time.js'
import { retryAfter, type Transport } from './transport.js'

/** How a job stands; `event` is what just happened, and null where the client only asked. */
export interface Progress {
  readonly jobId: string
  readonly status: JobStatus
  readonly event: EventBody | null
}

export interface FollowOptions {
  readonly signal?: AbortSignal | undefined
  /** Called for each change, in order. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** For the whole wait; then it rejects with `wait_timed_out`, and the job goes on. Default: 20 minutes. */
  readonly timeoutMs?: number | undefined
  /** Only events after this `seq`; for a job that is followed once more, after a retry. */
  readonly after?: number | undefined
}

export interface PollOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: Progress) => void) | undefined
}

export const FINAL: ReadonlySet<JobStatus> = new Set(['completed', 'failed', 'canceled'])
export const WAIT_MS = 20 * 60_000

const PATIENCE = {
  firstWordMs: 10_000, // the service says something at once; where nothing comes, something on the way holds it back
  silenceMs: 40_000, // and then every 15 s
}
const LAST_WORDS_MS = 1_000
const MOST_FAILURES = 4
const POLL_MS = 1_000
const SLOWEST_POLL_MS = 5_000

export const jobPath = (jobId: string, rest = ''): string => `/api/images/jobs/${encodeURIComponent(jobId)}${rest}`

/** The completed job; rejects with the job's own error where it ended otherwise. */
export async function follow(transport: Transport, jobId: string, options: FollowOptions, patience = PATIENCE): Promise<JobBody> {
  const ms = options.timeoutMs ?? WAIT_MS
  try {
    return await bounded(ms, options.signal, (signal) => new Following(transport, jobId, { ...options, signal }, patience).run())
  } catch (error) {
    if (error instanceof TimeIsUp && !options.signal?.aborted) throw timedOut(jobId, ms)
    throw error instanceof CallerError ? error.thrown : error
  }
}

/** The same by asking alone, `maxAttempts` times at most. */
export async function poll(
  transport: Transport,
  jobId: string,
  maxAttempts: number,
  intervalMs: number,
  options: PollOptions & { slowestMs?: number },
): Promise<JobBody> {
  let tag: string | null = null
  let seen: JobStatus | null = null
  let interval = intervalMs
  let trouble: AnyImageJobError | null = null
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    let wait = jittered(interval)
    try {
      const headers = tag === null ? {} : { 'if-none-match': tag }
      const answer = await transport.send({ method: 'GET', path: jobPath(jobId), headers, attempts: 1, signal: options.signal })
      trouble = null
      interval = Math.min(interval * 1.2, options.slowestMs ?? intervalMs)
      if (answer.status !== 304) {
        tag = answer.headers.get('etag')
        const job = jobOf(answer.body)
        if (job.status !== seen) options.onProgress?.({ jobId, status: job.status, event: null })
        if (job.status !== seen) interval = intervalMs
        seen = job.status
        if (FINAL.has(job.status)) return ended(job)
      }
    } catch (error) {
      if (!isImageJobError(error) || !isPassing(error)) throw error
      trouble = error
      wait = Math.max(wait, Math.min((error.retryAfterSeconds ?? 0) * 1000, 30_000))
    }
    if (attempt < maxAttempts) await pause(wait, options.signal)
  }
  throw trouble ?? timedOut(jobId, maxAttempts * intervalMs)
}

class Following {
  readonly #transport: Transport
  readonly #jobId: string
  readonly #options: FollowOptions
  readonly #patience: typeof PATIENCE
  #seq: number
  #hasHeard = false
  #status: JobStatus | null = null
  #failures = 0

  constructor(transport: Transport, jobId: string, options: FollowOptions, patience: typeof PATIENCE) {
    this.#transport = transport
    this.#jobId = jobId
    this.#options = options
    this.#patience = patience
    this.#seq = options.after ?? 0
  }

  async run(): Promise<JobBody> {
    for (;;) {
      const outcome = await inSlot(() => this.#stream(), 'no stream' as const)
      if (outcome === 'no stream') break
      if (outcome === 'final') {
        const job = await this.#job()
        if (FINAL.has(job.status)) return ended(job)
        this.#status = job.status
      }
      if (outcome !== 'news') this.#failures += 1
      if (this.#failures === MOST_FAILURES) break
      const asked = typeof outcome === 'number' ? outcome : 0
      await pause(asked + jittered(125 * 2 ** this.#failures), this.#options.signal)
    }
    const rest = { signal: this.#options.signal, onProgress: (progress: Progress) => this.#tell(progress.status, null) }
    return poll(this.#transport, this.#jobId, Infinity, POLL_MS, { ...rest, slowestMs: SLOWEST_POLL_MS })
  }

  /**
   * One connection. `final`: the job's end was told, or the service has no more to tell; `news`: it broke off after telling
   * something; `nothing`: before; `no stream`: the service does not stream, or something on the way holds it back;
   * a number: come back after so many milliseconds.
   */
  async #stream(): Promise<'final' | 'news' | 'nothing' | 'no stream' | number> {
    const before = this.#seq
    const connection = new AbortController()
    const stop = (): void => connection.abort(this.#options.signal?.reason)
    this.#options.signal?.addEventListener('abort', stop, { once: true })
    try {
      const response = await bounded(this.#patience.firstWordMs, this.#options.signal, () => this.#open(connection.signal))
      if (response.status === 204) return 'final'
      if (response.status === 429 || response.status >= 500) return Math.min((retryAfter(response.headers) ?? 1) * 1000, 30_000)
      if (!response.ok && ![400, 405, 406, 422].includes(response.status)) {
        throw refusal(response.status, await response.json().catch(() => null), null)
      }
      if (!response.ok || !response.body || !isStream(response)) return 'no stream'
      return await this.#read(response.body.getReader())
    } catch (error) {
      if (this.#options.signal?.aborted || error instanceof CallerError) throw error
      if (isImageJobError(error) && error.reason !== 'token_unavailable') throw error
      if (error instanceof SyntaxError || error instanceof RangeError) return 'no stream'
      if (error instanceof TimeIsUp && !(this.#hasHeard && this.#seq > 0)) return 'no stream'
      return this.#seq > before ? 'news' : 'nothing'
    } finally {
      this.#options.signal?.removeEventListener('abort', stop)
      connection.abort()
    }
  }

  #open(signal: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { accept: 'text/event-stream' }
    if (this.#seq > 0) headers['last-event-id'] = String(this.#seq)
    return this.#transport.open({ method: 'GET', path: jobPath(this.#jobId, '/events'), headers, signal })
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<'final' | 'news' | 'nothing'> {
    const parser = new EventStreamParser()
    const before = this.#seq
    let isAlive = false
    for (;;) {
      const isOver = this.#status !== null && FINAL.has(this.#status)
      const patience = isOver ? LAST_WORDS_MS : isAlive && this.#seq > 0 ? this.#patience.silenceMs : this.#patience.firstWordMs
      const chunk = await bounded(patience, this.#options.signal, () => reader.read()).catch((error: unknown) => {
        if (isOver && !this.#options.signal?.aborted) return { done: true as const, value: undefined }
        throw error
      })
      if (chunk.done) return isOver ? 'final' : this.#seq > before ? 'news' : 'nothing'
      isAlive = this.#hasHeard = true
      for (const event of parser.push(chunk.value)) this.#take(eventOf(event.data))
      this.#failures = this.#seq > before ? 0 : this.#failures
    }
  }

  #take(event: EventBody): void {
    if (event.seq <= this.#seq) return
    this.#seq = event.seq
    const status = event.data['status']
    this.#tell(typeof status === 'string' ? (status as JobStatus) : this.#status, event)
  }

  #tell(status: JobStatus | null, event: EventBody | null): void {
    const isNews = event !== null || status !== this.#status
    this.#status = status
    if (!isNews || status === null) return
    try {
      this.#options.onProgress?.({ jobId: this.#jobId, status, event })
    } catch (error) {
      throw new CallerError(error)
    }
  }

  async #job(): Promise<JobBody> {
    return jobOf((await this.#transport.send({ method: 'GET', path: jobPath(this.#jobId), signal: this.#options.signal })).body)
  }
}

/** What the page's own callback threw: passed on as it is, not taken for a broken connection. */
class CallerError extends Error {
  readonly thrown: unknown
  constructor(thrown: unknown) {
    super()
    this.thrown = thrown
  }
}

/** Whether the service may answer better soon. */
function isPassing(error: AnyImageJobError): boolean {
  if (error.job !== null) return false
  return error.status === null ? error.retryable : error.status === 429 || error.status >= 500
}

const isStream = (response: Response): boolean => /^text\/event-stream\b/i.test(response.headers.get('content-type') ?? '')

function ended(job: JobBody): JobBody {
  const failure = failureOf(job)
  if (failure) throw failure
  return job
}

function eventOf(data: string): EventBody {
  const found: unknown = JSON.parse(data)
  if (!isRecord(found) || typeof found['seq'] !== 'number' || !isRecord(found['data'])) throw new SyntaxError('no event')
  return found as unknown as EventBody
}

/** The job in an answer; whatever else answered at that address is not taken for one. */
export function jobOf(body: unknown): JobBody {
  if (isRecord(body) && typeof body['jobId'] === 'string' && typeof body['status'] === 'string' && isRecord(body['cost'])) {
    return body as unknown as JobBody
  }
  throw unexpected()
}
