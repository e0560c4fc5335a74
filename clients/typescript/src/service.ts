/** The service as a page uses it: ask for a picture, wait for it, and the few things one can do to a job. */
import type { CancelAnswer, GenerateAnswer, GenerateBody, InputAnswer, JobBody, JobList, JobListQuery, RetryAnswer, RetryBody, SourceBody } from './api.js'
import { addressOf, tokenOf, type ImageServiceConfig } from './config.js'
import { PermanentError, timedOut, UnknownError, isRecord } from './errors.js'
import { follow, jobOf, jobPath, poll, WAIT_MS, type FollowOptions, type PollOptions, type Progress } from './follow.js'
import { bounded, TimeIsUp } from './time.js'
import { Transport, type Call } from './transport.js'

/** What is asked; `jobType` defaults to `generate`, `branchId` to what the resolver says, else `main`. */
export interface ImageRequest extends Omit<GenerateBody, 'n' | 'idempotencyKey' | 'jobType'> {
  readonly jobType?: GenerateBody['jobType']
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

export interface WaitOptions extends CallOptions {
  /** Called for each change, in order. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** For all of it; then it rejects with `wait_timed_out`, and the job goes on. */
  readonly timeoutMs?: number | undefined
  /** The same key never makes a second job; default: a new one for each call. */
  readonly idempotencyKey?: string | undefined
}

/** Anything else of the request, beside what the function itself sets. */
export type ImageOptions = WaitOptions & Omit<Partial<ImageRequest>, 'projectId' | 'prompt' | 'jobType'>

export interface GeneratedImage {
  readonly imageUrl: string
  /** The job's id. */
  readonly generationId: string
  readonly prompt: string
}

/** A picture to start from. A string is an address: `http(s):`, or `data:` and `blob:`, which are uploaded as a `Blob` is. */
export type ImageSource = Blob | URL | string | { readonly inputId: string } | { readonly jobId: string } | { readonly url: string }
/** A mask; no string, which would be a description. */
export type MaskSource = Blob | URL | { readonly inputId: string } | { readonly url: string }

/** Which jobs to list; times are ISO 8601 with a zone, and `cursor` is the `nextCursor` of the page before. */
export type JobFilter = JobListQuery

const JSON_MS = 20_000
const UPLOAD_MS = 120_000

export class ImageService {
  readonly #config: ImageServiceConfig
  readonly #transport: Transport

  constructor(config: ImageServiceConfig = {}) {
    this.#config = config
    const fetching: typeof fetch = config.fetch ?? ((...request) => fetch(...request))
    this.#transport = new Transport({ address: () => addressOf(config), token: tokenOf(config), fetch: fetching })
  }

  /** The key picture of a character, a place or a prop. */
  async generateAssetImageKey(
    projectId: string,
    description: string,
    visualStyleId?: string | null,
    options: ImageOptions = {},
  ): Promise<GeneratedImage> {
    return this.#made({ jobType: 'master_asset', projectId, prompt: description, visualStyleCapsuleId: visualStyleId }, options)
  }

  /** The first or the last frame of a shot; `aspectRatio` as `width:height`. */
  async generateFrameAnchor(
    projectId: string,
    prompt: string,
    visualStyleId: string | null | undefined,
    isStartFrame = true,
    aspectRatio = '16:9',
    options: ImageOptions = {},
  ): Promise<GeneratedImage> {
    const jobType = isStartFrame ? 'start_frame' : 'end_frame'
    return this.#made({ jobType, projectId, prompt, visualStyleCapsuleId: visualStyleId, ...sizeOf(aspectRatio) }, options)
  }

  /** Put `newContent` where the description or the mask says; files are uploaded first. */
  async inpaintImage(
    projectId: string,
    image: ImageSource,
    maskDescription: string | MaskSource,
    newContent: string,
    visualStyleId?: string | null,
    options: ImageOptions = {},
  ): Promise<GeneratedImage> {
    requireOne(options)
    return this.#within(options, async (signal, made) => {
      const sourceImage = await this.#source(projectId, image, { signal })
      const where = typeof maskDescription === 'string' ? { maskDescription } : { mask: await this.#source(projectId, maskDescription, { signal }) }
      const asked = { jobType: 'inpaint', projectId, prompt: newContent, visualStyleCapsuleId: visualStyleId, sourceImage } as const
      return this.#picture(requestOf({ ...asked, ...where }, options), { ...options, signal }, made)
    })
  }

  /** Ask for a picture and wait for it. Rejects with an `ImageJobError`, or with the reason of an aborted signal; an abort cancels no job. */
  async generateImage(request: ImageRequest, options: WaitOptions = {}): Promise<GeneratedImage> {
    requireOne(request)
    const { deadlineSeconds } = request
    return this.#within({ ...options, deadlineSeconds }, (signal, made) => this.#picture(request, { ...options, signal }, made))
  }

  /** Only ask. Repeated under one key while the service is away, so that never two jobs are made. */
  async createJob(
    request: ImageRequest & { readonly n?: number },
    options: CallOptions & { readonly idempotencyKey?: string | undefined } = {},
  ): Promise<GenerateAnswer> {
    const branchId = request.branchId ?? (await this.#config.resolveBranch?.(request.projectId)) ?? 'main'
    const idempotencyKey = options.idempotencyKey ?? newIdempotencyKey()
    const json = { jobType: 'generate', ...given(request), branchId, idempotencyKey }
    return this.#json<GenerateAnswer>({ method: 'POST', path: '/api/images/generate', json, signal: options.signal }, 'jobId')
  }

  /** The job as it stands. */
  async getJob(jobId: string, options: CallOptions = {}): Promise<JobBody> {
    return jobOf((await this.#transport.send({ method: 'GET', path: jobPath(jobId), signal: options.signal })).body)
  }

  /** A page of jobs, newest first. */
  async listJobs(filter: JobFilter = {}, options: CallOptions = {}): Promise<JobList> {
    const { limit, ...rest } = filter
    const query = { ...rest, limit: limit?.toString() }
    return this.#json<JobList>({ method: 'GET', path: '/api/images/jobs', query, signal: options.signal }, 'jobs')
  }

  /** The completed job, followed by its events where the service streams them. Rejects with its error where it ended otherwise. */
  async waitForJob(jobId: string, options: FollowOptions = {}): Promise<JobBody> {
    return follow(this.#transport, jobId, { timeoutMs: this.#config.timeoutMs, ...given(options) })
  }

  /** The same by asking alone, about once per interval, so many times at most. */
  async pollJobStatus(jobId: string, maxAttempts = 60, intervalMs = 1000, options: PollOptions = {}): Promise<JobBody> {
    return poll(this.#transport, jobId, maxAttempts, intervalMs, options)
  }

  /**
   * Queue a failed job again under its id, and say whether it costs; then `waitForJob`. Given the job as it failed
   * (`error.job`), that failure is retried once, however often and by however many it is asked; an id is looked up first.
   */
  async retryJob(failed: string | Pick<JobBody, 'jobId' | 'retryCount'>, options: CallOptions = {}): Promise<RetryAnswer> {
    const { jobId, retryCount } = typeof failed === 'string' ? await this.getJob(failed, options) : failed
    const call = { method: 'POST', path: jobPath(jobId, '/retry'), json: { retryCount } satisfies RetryBody, signal: options.signal } as const
    return this.#json<RetryAnswer>(call, 'jobId')
  }

  /** Stop a job, and say what it cost. */
  async cancelJob(jobId: string, options: CallOptions = {}): Promise<CancelAnswer> {
    return this.#json<CancelAnswer>({ method: 'POST', path: jobPath(jobId, '/cancel'), signal: options.signal }, 'receipt')
  }

  /** Hand a picture over, to name it in requests of this project. */
  async uploadInput(projectId: string, picture: Blob, options: CallOptions = {}): Promise<InputAnswer> {
    const headers = { 'content-type': picture.type || 'application/octet-stream' }
    const call = { method: 'POST', path: '/api/images/inputs', query: { projectId }, body: picture, headers } as const
    return this.#json<InputAnswer>({ ...call, timeoutMs: UPLOAD_MS, signal: options.signal }, 'inputId')
  }

  async #made(asked: Loose<ImageRequest>, options: ImageOptions): Promise<GeneratedImage> {
    return this.generateImage(requestOf(asked, options), options)
  }

  async #picture(request: ImageRequest, options: WaitOptions, made: (jobId: string) => void): Promise<GeneratedImage> {
    const { jobId } = await this.createJob(request, options)
    made(jobId)
    const { signal, onProgress } = options
    return pictureOf(await follow(this.#transport, jobId, { signal, onProgress, timeoutMs: Infinity }))
  }

  /** All of the work in the time of one call. */
  async #within(
    options: WaitOptions & { readonly deadlineSeconds?: number | null | undefined },
    work: (signal: AbortSignal, made: (jobId: string) => void) => Promise<GeneratedImage>,
  ): Promise<GeneratedImage> {
    const ms = options.timeoutMs ?? this.#patience(options.deadlineSeconds)
    let jobId: string | null = null
    try {
      return await bounded(ms, options.signal, (signal) => work(signal, (id) => (jobId = id)))
    } catch (error) {
      if (error instanceof TimeIsUp && !options.signal?.aborted) throw timedOut(jobId, ms)
      throw error
    }
  }

  async #source(projectId: string, source: ImageSource, options: CallOptions): Promise<SourceBody> {
    if (source instanceof Blob) return { inputId: (await this.uploadInput(projectId, source, options)).inputId }
    if (typeof source !== 'string' && !(source instanceof URL)) return source
    const address = String(source)
    if (/^https?:/i.test(address)) return { url: address }
    if (/^(data|blob):/i.test(address)) {
      const local = await fetch(address, { signal: options.signal ?? null })
      return this.#source(projectId, await local.blob(), options)
    }
    const detail = 'image: a string must be an address (http:, https:, data:, blob:); name an input or a job as {inputId} or {jobId}.'
    throw new PermanentError({ reason: 'invalid_field', detail, field: 'image' })
  }

  async #json<T>(call: Call, member: keyof T & string): Promise<T> {
    const { body } = await this.#transport.send({ timeoutMs: JSON_MS, ...call })
    if (isRecord(body) && member in body) return body as T
    const detail = 'Something answered, but not as imagejobs does: is the address right?'
    throw new UnknownError({ reason: 'unexpected_answer', detail, billed: 'unknown' })
  }

  /** A job that was given a deadline ends soon after it. */
  #patience(deadlineSeconds: number | null | undefined): number {
    return this.#config.timeoutMs ?? (deadlineSeconds ? deadlineSeconds * 1000 + 60_000 : WAIT_MS)
  }
}

export const createImageService = (config: ImageServiceConfig = {}): ImageService => new ImageService(config)

/** The service that the page's variables name. */
export const imageService: ImageService = createImageService()

/** `n` is no member of the types, but plain JavaScript can pass it: then more would be bought than is given. */
function requireOne(request: object): void {
  const n: unknown = 'n' in request ? request.n : undefined
  if (n === undefined || n === null || n === 1) return
  const detail = `n: one call gives one picture, and it is ${JSON.stringify(n)}. Call once for each, or take createJob, which makes as many jobs.`
  throw new PermanentError({ reason: 'invalid_field', detail, field: 'n' })
}

type Loose<T> = { readonly [K in keyof T]?: T[K] | undefined }

/** Without what is not set: the service refuses a null where it wants text. */
function given<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== null)) as T
}

/** What is asked, without what is only about the waiting. */
function requestOf(asked: Loose<ImageRequest>, options: ImageOptions): ImageRequest {
  const { signal: _, onProgress: _1, timeoutMs: _2, idempotencyKey: _3, ...more } = options
  return { ...given(asked), ...given(more) } as ImageRequest
}

function pictureOf(job: JobBody): GeneratedImage {
  if (job.publicUrl) return { imageUrl: job.publicUrl, generationId: job.jobId, prompt: job.prompt }
  const detail = 'The job is completed, and its picture has no public address.'
  throw new UnknownError({ reason: 'unexpected_answer', detail, billed: 'yes', job })
}

const LONG_EDGE = 1024
const GRID = 8

/** The largest size of exactly that ratio whose edges are multiples of 8 and not above 1,024. */
export function sizeOf(aspectRatio: string): { width: number; height: number } {
  const [, a = '', b = ''] = /^([1-9]\d{0,2}):([1-9]\d{0,2})$/.exec(aspectRatio.trim()) ?? []
  const unit = Math.floor(LONG_EDGE / (Math.max(Number(a), Number(b)) * GRID)) * GRID
  if (unit >= GRID && Number.isFinite(unit)) return { width: Number(a) * unit, height: Number(b) * unit }
  const detail = `aspectRatio: must be two whole numbers from 1 to 128, as in 16:9, and it is ${JSON.stringify(aspectRatio)}.`
  throw new PermanentError({ reason: 'invalid_field', detail, field: 'aspectRatio' })
}

/** A key for `idempotencyKey`: 128 random bits; also where the page is not served securely and has no `randomUUID`. */
export function newIdempotencyKey(): string {
  const bytes = new Uint8Array(16)
  if (globalThis.crypto) globalThis.crypto.getRandomValues(bytes)
  else bytes.forEach((_, index) => (bytes[index] = Math.random() * 256))
  return `ts-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}
