/** Where the service is and who asks, by options or by the variables that Vite gives to a page. */
import { isRecord, PermanentError } from './errors.js'
import type { TokenSource } from './transport.js'

/** What is used of a supabase-js client. */
export interface SupabaseClientLike {
  readonly auth: {
    getSession(): Promise<{ data: { session: { access_token: string } | null } }>
    refreshSession?(): Promise<{ data: { session: { access_token: string } | null } }>
  }
}

export interface ImageServiceConfig {
  /** Of the service; else `VITE_API_URL`, else the page's own origin. */
  readonly apiUrl?: string | undefined
  /** Any function that gives a token or an API key; called before each request, so that it can be renewed. */
  readonly getToken?: TokenSource | undefined
  /** A supabase-js client, for its session. */
  readonly supabase?: SupabaseClientLike | undefined
  /** Else the session that supabase-js keeps in `storage` for this project; else `VITE_SUPABASE_URL`. */
  readonly supabaseUrl?: string | undefined
  /** With it a stored session that has run out is renewed; else `VITE_SUPABASE_ANON_KEY`. */
  readonly supabaseAnonKey?: string | undefined
  /** Default: `localStorage`. */
  readonly storage?: Pick<Storage, 'getItem' | 'setItem'> | undefined
  /** The branch of a project, where a call names none; else `main`. */
  readonly resolveBranch?: ((projectId: string) => string | null | undefined | Promise<string | null | undefined>) | undefined
  readonly fetch?: typeof fetch | undefined
  /** How long a picture is waited for: 20 minutes. */
  readonly timeoutMs?: number | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

/** Vite replaces this expression; elsewhere there is nothing. */
export const environment = (): Environment => (import.meta as { readonly env?: Environment }).env ?? {}

/** The service's address; throws `not_configured` where there is none. */
export function addressOf(config: ImageServiceConfig): string {
  const page = globalThis.location?.origin
  const found = config.apiUrl || environment()['VITE_API_URL'] || (page?.startsWith('http') ? page : '')
  if (/^https?:\/\/[^/]/i.test(found)) return found
  const detail = found
    ? `The address of the service must begin with http:// or https://, and it is ${JSON.stringify(found)}.`
    : 'The client does not know where the service is: set VITE_API_URL, or apiUrl in the options.'
  throw new PermanentError({ reason: 'not_configured', detail })
}

/** Who asks: the function given, the client given, the stored session, in this order; nobody where there is none. */
export function tokenOf(config: ImageServiceConfig): TokenSource {
  if (config.getToken) return config.getToken
  const { supabase } = config
  if (supabase) {
    return async ({ rejected }) => {
      const { data } = rejected && supabase.auth.refreshSession ? await supabase.auth.refreshSession() : await supabase.auth.getSession()
      return data.session?.access_token
    }
  }
  return (asked) => {
    const url = config.supabaseUrl || environment()['VITE_SUPABASE_URL']
    return url ? storedToken(new StoredSession(url, config), asked.rejected) : null
  }
}

interface Session {
  readonly access_token: string
  readonly refresh_token?: string
  readonly expires_at?: number
}

const EARLY_SECONDS = 30

async function storedToken(stored: StoredSession, rejected: string | undefined): Promise<string | null> {
  const session = stored.read()
  if (!session) return null
  if (!isSpent(session, rejected)) return session.access_token
  const renewed = await stored.renewed(rejected)
  return (renewed ?? session).access_token
}

function isSpent(session: Session, rejected: string | undefined): boolean {
  const isOver = session.expires_at !== undefined && session.expires_at - EARLY_SECONDS <= Date.now() / 1000
  return isOver || session.access_token === rejected
}

/** The session where supabase-js keeps it, and renewed as supabase-js would: under its lock, written back for it to find. */
class StoredSession {
  readonly #url: string
  readonly #name: string
  readonly #config: ImageServiceConfig

  constructor(url: string, config: ImageServiceConfig) {
    this.#url = url.replace(/\/+$/, '')
    this.#name = `sb-${hostOf(url).split('.')[0]}-auth-token`
    this.#config = config
  }

  read(): Session | null {
    const text = this.#storage?.getItem(this.#name)
    if (!text) return null
    try {
      const found: unknown = JSON.parse(text)
      return isRecord(found) && typeof found['access_token'] === 'string' ? (found as unknown as Session) : null
    } catch {
      return null
    }
  }

  async renewed(rejected: string | undefined): Promise<Session | null> {
    const renew = async (): Promise<Session | null> => {
      const session = this.read() // another tab may have been quicker
      return session && isSpent(session, rejected) ? this.#renew(session) : session
    }
    const locks = globalThis.navigator?.locks
    return locks ? await locks.request(`lock:${this.#name}`, renew) : await renew()
  }

  async #renew(session: Session): Promise<Session | null> {
    const key = this.#config.supabaseAnonKey || environment()['VITE_SUPABASE_ANON_KEY']
    if (!key || !session.refresh_token) return null
    const ask = this.#config.fetch ?? fetch
    try {
      const answer = await ask(`${this.#url}/auth/v1/token?grant_type=refresh_token`, {
        method: 'POST',
        headers: { apikey: key, 'content-type': 'application/json' },
        body: JSON.stringify({ refresh_token: session.refresh_token }),
        signal: AbortSignal.timeout(10_000),
      })
      const found: unknown = await answer.json()
      if (!answer.ok || !isRecord(found) || typeof found['access_token'] !== 'string') return null
      const lifetime = typeof found['expires_in'] === 'number' ? found['expires_in'] : 3600
      const renewed = { expires_at: Math.floor(Date.now() / 1000) + lifetime, ...found }
      this.#storage?.setItem(this.#name, JSON.stringify(renewed))
      return renewed as unknown as Session
    } catch {
      return null // the service refuses the old token, and says why
    }
  }

  get #storage(): Pick<Storage, 'getItem' | 'setItem'> | undefined {
    try {
      return this.#config.storage ?? globalThis.localStorage
    } catch {
      return undefined // a page that may not store anything
    }
  }
}

function hostOf(url: string): string {
  try {
    return new URL(url).hostname
  } catch {
    throw new PermanentError({ reason: 'not_configured', detail: `VITE_SUPABASE_URL is no address: ${JSON.stringify(url)}.` })
  }
}
