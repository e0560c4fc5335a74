/** The service as a page uses it: ask for a picture, wait for it, and the few things one can do to a job. */
import type {
  CancelAnswer,
  ChangeBody,
  EventList,
  GenerateAnswer,
  GenerateBody,
  InputAnswer,
  JobBody,
  JobList,
  JobListQuery,
  MemberList,
  MemberWrite,
  ProjectBody,
  ProjectWrite,
  QuoteBody,
  ResolveAnswer,
  ResolveBody,
  RetryAnswer,
  RetryBody,
  Role,
  SourceBody,
  StyleBody,
  StyleList,
  StyleListQuery,
  StyleWords,
} from './api.js'
import { addressOf, tokenOf, type ImageServiceConfig } from './config.js'
import { PermanentError, timedOut, UnknownError, isRecord, unexpected } from './errors.js'
import { follow, jobOf, jobPath, poll, WAIT_MS, type FollowOptions, type PollOptions, type Progress } from './follow.js'
import { bounded, TimeIsUp } from './time.js'
import { Transport, type Call } from './transport.js'

/** What is asked; `jobType` defaults to `generate`, `branchId` to what the resolver says, else `main`. */
export interface ImageRequest extends Omit<GenerateBody, 'n' | 'idempotencyKey' | 'jobType'> {
  readonly jobType?: GenerateBody['jobType']
}

/** The same where it may make several jobs. */
export interface JobRequest extends ImageRequest {
  readonly n?: number
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
  async createJob(request: JobRequest, options: CallOptions & { readonly idempotencyKey?: string | undefined } = {}): Promise<GenerateAnswer> {
    const json = { ...(await this.#body(request)), idempotencyKey: options.idempotencyKey ?? newIdempotencyKey() }
    return this.#json<GenerateAnswer>({ method: 'POST', path: '/api/images/generate', json, signal: options.signal }, 'jobId')
  }

  /** What the request would cost, and the words that the provider would get; nothing is made. `obstacle` is what would stop it. */
  async quoteJob(request: JobRequest, options: CallOptions = {}): Promise<QuoteBody> {
    return this.#json<QuoteBody>({ method: 'POST', path: '/api/images/quote', json: await this.#body(request), signal: options.signal }, 'total')
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

  /** What happened to a job, in order: a thousand events at most, those after the `seq` given. `waitForJob` tells them as they come. */
  async listEvents(jobId: string, after = 0, options: CallOptions = {}): Promise<EventList> {
    const query = { after: after.toString() }
    return this.#json<EventList>({ method: 'GET', path: jobPath(jobId, '/events'), query, signal: options.signal }, 'events')
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

  /** Move a queued job within the queue: from -10 to 10, higher goes first. Refused with 409 once a worker has it. */
  async setPriority(jobId: string, priority: number, options: CallOptions = {}): Promise<JobBody> {
    const json: ChangeBody = { priority }
    return jobOf((await this.#transport.send({ method: 'PATCH', path: jobPath(jobId), json, signal: options.signal })).body)
  }

  /** Say whether an unknown outcome was billed, as the provider's usage page shows. Refused with 409 where nothing is unknown, as on a repeat. */
  async resolveJob(jobId: string, billed: boolean, options: CallOptions = {}): Promise<ResolveAnswer> {
    const json: ResolveBody = { billed }
    return this.#json<ResolveAnswer>({ method: 'POST', path: jobPath(jobId, '/resolve'), json, signal: options.signal }, 'posted')
  }

  /** Hand a picture over, to name it in requests of this project. */
  async uploadInput(projectId: string, picture: Blob, options: CallOptions = {}): Promise<InputAnswer> {
    const headers = { 'content-type': picture.type || 'application/octet-stream' }
    const call = { method: 'POST', path: '/api/images/inputs', query: { projectId }, body: picture, headers } as const
    return this.#json<InputAnswer>({ ...call, timeoutMs: UPLOAD_MS, signal: options.signal }, 'inputId')
  }

  /** A page of the project's style capsules, in the order of their ids. */
  async listStyles(projectId: string, filter: StyleListQuery = {}, options: CallOptions = {}): Promise<StyleList> {
    const query = { ...filter, limit: filter.limit?.toString() }
    return this.#json<StyleList>({ method: 'GET', path: projectPath(projectId, 'styles'), query, signal: options.signal }, 'styles')
  }

  /** The style as it stands. */
  async getStyle(projectId: string, styleId: string, options: CallOptions = {}): Promise<StyleBody> {
    return this.#json<StyleBody>({ method: 'GET', path: projectPath(projectId, 'styles', styleId), signal: options.signal }, 'styleId')
  }

  /** Make the style, or replace it whole. Jobs that exist keep what they took. */
  async putStyle(projectId: string, styleId: string, style: StyleWords, options: CallOptions = {}): Promise<StyleBody> {
    const call = { method: 'PUT', path: projectPath(projectId, 'styles', styleId), json: style, signal: options.signal } as const
    return this.#json<StyleBody>(call, 'styleId')
  }

  /** Remove the style. Jobs that took it go on; new ones cannot name it. */
  async deleteStyle(projectId: string, styleId: string, options: CallOptions = {}): Promise<void> {
    await this.#done({ method: 'DELETE', path: projectPath(projectId, 'styles', styleId), signal: options.signal })
  }

  /** The project, for everybody who may read its jobs. */
  async getProject(projectId: string, options: CallOptions = {}): Promise<ProjectBody> {
    return this.#json<ProjectBody>({ method: 'GET', path: projectPath(projectId), signal: options.signal }, 'projectId')
  }

  /** Make the project, or replace its name and policy: for admin keys and the project's admins. */
  async putProject(projectId: string, project: ProjectWrite, options: CallOptions = {}): Promise<ProjectBody> {
    return this.#json<ProjectBody>({ method: 'PUT', path: projectPath(projectId), json: project, signal: options.signal }, 'projectId')
  }

  /** Who has which role in the project, oldest first; for its admins, as the next two. */
  async listMembers(projectId: string, options: CallOptions = {}): Promise<MemberList> {
    return this.#json<MemberList>({ method: 'GET', path: projectPath(projectId, 'members'), signal: options.signal }, 'members')
  }

  /** Give a user, by the `sub` of their token, a role in the project; nobody gives themselves one. */
  async putMember(projectId: string, userId: string, role: Role, options: CallOptions = {}): Promise<void> {
    const json: MemberWrite = { role }
    await this.#done({ method: 'PUT', path: projectPath(projectId, 'members', userId), json, signal: options.signal })
  }

  /** End a user's membership, at once. */
  async deleteMember(projectId: string, userId: string, options: CallOptions = {}): Promise<void> {
    await this.#done({ method: 'DELETE', path: projectPath(projectId, 'members', userId), signal: options.signal })
  }

  async #body(request: JobRequest): Promise<object> {
    const branchId = request.branchId ?? (await this.#config.resolveBranch?.(request.projectId)) ?? 'main'
    return { jobType: 'generate', ...given(request), branchId }
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
    throw unexpected()
  }

  /** A call whose answer says nothing. */
  async #done(call: Call): Promise<void> {
    const { status } = await this.#transport.send({ timeoutMs: JSON_MS, ...call })
    if (status !== 204) throw unexpected()
  }

  /** A job that was given a deadline ends soon after it. */
  #patience(deadlineSeconds: number | null | undefined): number {
    return this.#config.timeoutMs ?? (deadlineSeconds ? deadlineSeconds * 1000 + 60_000 : WAIT_MS)
  }
}

const projectPath = (...parts: readonly string[]): string => `/api/projects/${parts.map(encodeURIComponent).join('/')}`

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
