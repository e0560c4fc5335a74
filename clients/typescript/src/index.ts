export type * from './api.js'
export type { ImageServiceConfig, SupabaseClientLike } from './config.js'
export {
  AuthError,
  ImageJobError,
  isImageJobError,
  PermanentError,
  RateLimitError,
  TemporaryError,
  UnknownError,
  type AnyImageJobError,
  type Billed,
  type ErrorCode,
  type FailureStage,
} from './errors.js'
export type { FollowOptions, PollOptions, Progress } from './follow.js'
export { createImageService, ImageService, imageService, newIdempotencyKey } from './service.js'
export type {
  CallOptions,
  GeneratedImage,
  ImageOptions,
  ImageRequest,
  ImageSource,
  JobFilter,
  JobRequest,
  MaskSource,
  WaitOptions,
} from './service.js'
export type { TokenSource } from './transport.js'
