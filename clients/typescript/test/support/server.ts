/** A real HTTP server on loopback that answers by script, and remembers what it was asked. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export type Handler = (asked: Asked, response: ServerResponse, count: number) => unknown

/** `handlers` by `METHOD /path`; `count` is how often that one was asked, from 1. Closed with its connections after the test. */
export async function serve(t: TestContext, handlers: Record<string, Handler>): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = []
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const path = new URL(request.url ?? '/', 'http://x').pathname
    const one = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks) }
    asked.push(one)
    const route = `${one.method} ${path}`
    const count = asked.filter((other) => `${other.method} ${other.path.split('?')[0]}` === route).length
    const handler = handlers[route]
    if (!handler) return json(response, 404, problem('PERMANENT', 'not_found', 'There is nothing at this address.'))
    await handler(one, response, count)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

export function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

export function problem(code: string, reason: string, detail: string, more: Record<string, unknown> = {}): unknown {
  const error = { code, reason, message: detail, failureStage: null, billed: 'no', retryable: code === 'TEMPORARY' }
  return { type: `urn:imagejobs:error:${reason}`, title: reason, detail, code, reason, error, ...more }
}

export const JOB_ID = '01a2055e-ee52-752c-b23a-35bc126e7450'
export const JOB = `/api/images/jobs/${JOB_ID}`

export function job(status: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  const publicUrl = status === 'completed' ? { publicUrl: 'http://127.0.0.1/files/fox.png' } : {}
  return { jobId: JOB_ID, status, prompt: 'a fox', cost: { estimated: 0.04, actual: null }, ...publicUrl, ...more }
}

export function event(seq: number, status: string, more: Record<string, unknown> = {}): string {
  const data = { seq, kind: `job.${status}`, at: '2026-01-01T00:00:00.000Z', data: { status, ...more } }
  return `id: ${seq}\nevent: ${data.kind}\ndata: ${JSON.stringify(data)}\n\n`
}

export const accepted: Handler = (_, response) => json(response, 202, { jobId: JOB_ID, status: 'queued' })
export const completed: Handler = (_, response) => json(response, 200, job('completed'), { etag: '"done"' })

/** An event stream with these events, closed at its end. */
export function streamed(response: ServerResponse, ...parts: string[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
  response.end(parts.join(''))
}
