/** What the page says: states and failures in plain words. */
import type { AnyImageJobError, Billed, JobStatus } from 'imagejobs'

export const STEPS: readonly JobStatus[] = ['queued', 'processing', 'generating', 'uploading', 'completed']

export const STATES: Record<JobStatus, readonly [title: string, detail: string]> = {
  queued: ['In the queue', 'A worker takes it as soon as one is free.'],
  processing: ['Getting ready', 'A worker has it and prepares the call.'],
  generating: ['Being made', 'The provider is at work on it.'],
  uploading: ['Being stored', 'The picture is there and goes to its place.'],
  completed: ['Here it is', ''],
  failed: ['It did not work', ''],
  canceled: ['Canceled', ''],
}

export const STEP_NAMES: Partial<Record<JobStatus, string>> = {
  queued: 'Queue',
  processing: 'Ready',
  generating: 'Make',
  uploading: 'Store',
  completed: 'Done',
}

const TITLES: Record<string, string> = {
  content_refused: 'The provider refuses this description',
  provider_overloaded: 'The provider is overloaded',
  provider_unreachable: 'The provider cannot be reached',
  provider_throttled: 'Too much at once for the provider',
  provider_timeout: 'The provider took too long',
  provider_key_rejected: 'The service’s key is not accepted',
  provider_credit_exhausted: 'The provider’s account is empty',
  outcome_unknown: 'Nobody knows whether it was made',
  image_corrupt: 'The picture arrived damaged',
  not_an_image: 'What arrived is no picture',
  image_too_large: 'What arrived is too large',
  storage_unavailable: 'The picture could not be stored',
  budget_exhausted: 'The budget is used up',
  no_provider_configured: 'No provider is set up',
  unauthenticated: 'Please say who you are',
  permission_denied: 'Not allowed',
  unreachable: 'The service cannot be reached',
  wait_timed_out: 'It takes longer than usual',
  not_configured: 'The page does not know its service',
  canceled: 'Canceled',
}

export function titleOf(error: AnyImageJobError): string {
  const known = TITLES[error.reason]
  if (known) return known
  switch (error.code) {
    case 'TEMPORARY':
      return 'Not now'
    case 'RATE_LIMIT':
      return 'Too much at once'
    case 'AUTH_ERROR':
      return 'Not allowed'
    case 'PERMANENT':
      return 'This cannot be done as it stands'
    case 'UNKNOWN':
      return 'Something went wrong'
  }
}

export const BILLED: Record<Billed, string> = { yes: 'Billed', no: 'Not billed', unknown: 'Perhaps billed' }

export const RECEIPTS = {
  stopped_before_spend: 'Stopped before anything was spent',
  stop_requested: 'Asked to stop; it may still be charged',
  too_late: 'Too late to stop: the picture is already there',
} as const

/** Fault words of the provider `sketch`, and what they rehearse. */
export const FAULTS: readonly (readonly [word: string, name: string])[] = [
  ['[slow 6s]', 'Slow'],
  ['[429 5s]', 'Throttled'],
  ['[503]', 'Overloaded'],
  ['[offline]', 'Offline'],
  ['[timeout]', 'Timeout'],
  ['[unknown]', 'Unknown outcome'],
  ['[refuse]', 'Refused'],
  ['[auth]', 'Bad key'],
  ['[credit]', 'No credit'],
  ['[corrupt]', 'Damaged'],
  ['[html]', 'No picture'],
  ['[bomb]', 'Too large'],
  ['[storage]', 'Storage'],
]

export const credits = (amount: number): string =>
  amount === 0 ? 'free' : `${amount.toLocaleString('en', { maximumSignificantDigits: 3 })} credits`
