/**
 * What can go wrong, one class for each of the five codes.
 *
 * ImageJobError
 * ├─ TemporaryError   TEMPORARY    the same request may succeed later
 * ├─ RateLimitError   RATE_LIMIT   too much at once; `retryAfterSeconds` where the service named a time
 * ├─ AuthError        AUTH_ERROR   the token, or the service's own key, is not accepted
 * ├─ PermanentError   PERMANENT    the same request will fail again
 * └─ UnknownError     UNKNOWN      nobody knows; see `billed` before trying again
 *
 * Beside the service's own reasons the client has these: `unreachable` (no usable answer), `wait_timed_out` (the job goes on,
 * the waiting ended), `canceled` (the job was stopped on request), `unexpected_answer` (something else answers at that address),
 * `not_configured`, `token_unavailable` and `invalid_field` (nothing was sent). An aborted call rejects with the signal's own reason instead.
 */
import type { ErrorBody, JobBody } from './api.js'

export type ErrorCode = ErrorBody['code']
export type Billed = ErrorBody['billed']
export type FailureStage = NonNullable<ErrorBody['failureStage']>

export interface ErrorFacts {
  readonly reason: string
  readonly detail: string
  readonly failureStage?: FailureStage | null
  readonly billed?: Billed
  readonly retryable?: boolean
  readonly jobId?: string | null
  readonly job?: JobBody | null
  readonly status?: number | null
  readonly field?: string | null
  readonly retryAfterSeconds?: number | null
  readonly cause?: unknown
}

/** Root of the tree. `detail`, also the message, is a sentence for a person with the next step; decide on `code` and `reason`. */
export abstract class ImageJobError extends Error {
  abstract readonly code: ErrorCode
  readonly reason: string
  readonly detail: string
  /** Where the job failed; null where no job did, or where it had not begun. */
  readonly failureStage: FailureStage | null
  /** Whether it cost something. */
  readonly billed: Billed
  /** Whether the same can succeed later without anybody changing anything. */
  readonly retryable: boolean
  readonly jobId: string | null
  /** The job as it ended, where it did. */
  readonly job: JobBody | null
  /** The status of the HTTP answer that refused; null for a job that failed. */
  readonly status: number | null
  /** The field of the request that is wrong. */
  readonly field: string | null
  readonly retryAfterSeconds: number | null

  constructor(facts: ErrorFacts) {
    super(facts.detail, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.name = new.target.name
    this.reason = facts.reason
    this.detail = facts.detail
    this.failureStage = facts.failureStage ?? null
    this.billed = facts.billed ?? 'no'
    this.retryable = facts.retryable ?? false
    this.jobId = facts.jobId ?? facts.job?.jobId ?? null
    this.job = facts.job ?? null
    this.status = facts.status ?? null
    this.field = facts.field ?? null
    this.retryAfterSeconds = facts.retryAfterSeconds ?? null
  }
}

export class TemporaryError extends ImageJobError {
  readonly code = 'TEMPORARY'
}

export class RateLimitError extends ImageJobError {
  readonly code = 'RATE_LIMIT'
}

export class AuthError extends ImageJobError {
  readonly code = 'AUTH_ERROR'
}

export class PermanentError extends ImageJobError {
  readonly code = 'PERMANENT'
}

export class UnknownError extends ImageJobError {
  readonly code = 'UNKNOWN'
}

/** Every error by its code, for a `switch` that the compiler checks. */
export type AnyImageJobError = TemporaryError | RateLimitError | AuthError | PermanentError | UnknownError

/** Whether `error` is one of ours; narrows it to the union. */
export function isImageJobError(error: unknown): error is AnyImageJobError {
  return error instanceof ImageJobError
}

const CLASSES = {
  TEMPORARY: TemporaryError,
  RATE_LIMIT: RateLimitError,
  AUTH_ERROR: AuthError,
  PERMANENT: PermanentError,
  UNKNOWN: UnknownError,
} as const

/** The error of that code; a code that a newer service invents is `UnknownError`. */
export function errorOf(code: string, facts: ErrorFacts): AnyImageJobError {
  const Known = Object.hasOwn(CLASSES, code) ? CLASSES[code as ErrorCode] : UnknownError
  return new Known(facts)
}

export const unreachable = (detail: string, cause?: unknown): TemporaryError =>
  new TemporaryError({ reason: 'unreachable', detail, billed: 'unknown', retryable: true, cause })

export const timedOut = (jobId: string | null, ms: number): TemporaryError =>
  new TemporaryError({
    reason: 'wait_timed_out',
    detail: `Not finished after ${ms / 1000} s. ${jobId ? 'The job goes on; ask for it again.' : 'Try again.'}`,
    billed: 'unknown',
    retryable: true,
    jobId,
  })

/** What answers at the address is no imagejobs. */
export const unexpected = (): UnknownError =>
  new UnknownError({
    reason: 'unexpected_answer',
    detail: 'Something answered, but not as imagejobs does: is the address right?',
    billed: 'unknown',
  })

/** Why this job ended without a picture; null where it did not. */
export function failureOf(job: JobBody): AnyImageJobError | null {
  if (job.status === 'canceled') {
    const billed = job.cost.actual === null ? 'unknown' : job.cost.actual > 0 ? 'yes' : 'no'
    return new PermanentError({ reason: 'canceled', detail: 'The job was canceled.', billed, job })
  }
  if (job.status !== 'failed') return null
  const found = job.error
  if (!found) return new UnknownError({ reason: 'internal_error', detail: 'The job failed.', billed: 'unknown', job })
  return errorOf(found.code, { ...found, detail: found.message, job })
}

/** A refusal as the service explained it (RFC 9457), or as well as its status explains it where something else answered. */
export function refusal(status: number, document: unknown, retryAfterSeconds: number | null): AnyImageJobError {
  const facts = { status, retryAfterSeconds }
  const problem = isRecord(document) ? document : {}
  const inner = isRecord(problem['error']) ? problem['error'] : {}
  const { code, reason, detail, field } = problem
  if (typeof code !== 'string' || typeof reason !== 'string') {
    const said = `The address answered ${status}, and not as imagejobs does: is it right?`
    return errorOf(codeOf(status), { reason: 'unreachable', detail: said, billed: 'unknown', retryable: status >= 500, ...facts })
  }
  return errorOf(code, {
    ...facts,
    reason,
    detail: typeof detail === 'string' ? detail : `The service answered ${status}.`,
    billed: inner['billed'] === 'yes' || inner['billed'] === 'no' ? inner['billed'] : 'unknown',
    retryable: inner['retryable'] === true,
    field: typeof field === 'string' ? field : null,
  })
}

function codeOf(status: number): ErrorCode {
  if (status === 401 || status === 403) return 'AUTH_ERROR'
  if (status === 429) return 'RATE_LIMIT'
  if (status === 502 || status === 503 || status === 504) return 'TEMPORARY'
  return status >= 400 && status < 500 ? 'PERMANENT' : 'UNKNOWN'
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
