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
