/** The running service that these tests are pointed at. */
import { createImageService, type ImageService } from '../../src/index.js'

function given(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set; run .venv/bin/pytest tests/acceptance/test_typescript.py`)
  return value
}

export const apiUrl = given('IMAGEJOBS_URL')
export const apiKey = given('IMAGEJOBS_API_KEY')
export const images: ImageService = createImageService({ apiUrl, getToken: () => apiKey })

/** Whether the service has this route. */
export async function has(path: string): Promise<boolean> {
  const answer = await fetch(`${apiUrl}/openapi.json`)
  return path in ((await answer.json()) as { paths: object }).paths
}

/** Whether the service streams the events of a job. */
export async function streams(jobId: string): Promise<boolean> {
  const headers = { accept: 'text/event-stream', authorization: `Bearer ${apiKey}` }
  const answer = await fetch(`${apiUrl}/api/images/jobs/${jobId}/events`, { headers })
  const type = answer.headers.get('content-type') ?? ''
  await answer.body?.cancel()
  return type.startsWith('text/event-stream')
}
