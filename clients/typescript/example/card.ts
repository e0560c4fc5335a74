/** One job as a card: it follows the job, shows how it stands, and offers what can be done. */
import { isImageJobError, type AnyImageJobError, type ImageRequest, type ImageService, type JobBody, type JobStatus, type Progress } from 'imagejobs'
import { BILLED, credits, RECEIPTS, STATES, STEP_NAMES, STEPS, titleOf } from './words.js'

export class Card {
  readonly element: HTMLElement
  readonly #images: ImageService
  readonly #request: ImageRequest
  readonly #leaving = new AbortController()
  #jobId: string | null = null
  #seq = 0
  #reached = 0
  #facts = new Map<string, string>()

  constructor(images: ImageService, request: ImageRequest, template: HTMLTemplateElement) {
    this.#images = images
    this.#request = request
    const copy = template.content.cloneNode(true) as DocumentFragment
    this.element = copy.querySelector('li') as HTMLElement
    this.#find('.prompt').textContent = request.prompt
    this.#find('.frame').style.aspectRatio = `${request.width} / ${request.height}`
    for (const step of STEPS) this.#find('.steps').append(made('li', STEP_NAMES[step] ?? step))
  }

  /** Ask for the picture and follow it to its end. */
  async start(): Promise<void> {
    this.#say('waiting', 'Sending', 'The service writes it down.')
    await this.#attempt(async () => {
      this.#jobId = (await this.#images.createJob(this.#request, { signal: this.#leaving.signal })).jobId
      this.#tell({ jobId: this.#jobId, status: 'queued', event: null })
      void this.#quote(this.#jobId)
      await this.#follow(this.#jobId)
    })
  }

  async #follow(jobId: string): Promise<void> {
    this.#offer(['Cancel', () => this.#cancel(jobId)])
    const { signal } = this.#leaving
    const onProgress = (progress: Progress): void => this.#tell(progress)
    this.#show(await this.#images.waitForJob(jobId, { signal, onProgress, after: this.#seq }))
  }

  async #cancel(jobId: string): Promise<void> {
    try {
      const { receipt } = await this.#images.cancelJob(jobId)
      const cost = receipt.outcome === 'stop_requested' && receipt.mayCost ? ` (${credits(receipt.mayCost)})` : ''
      this.#note('cancel', `${RECEIPTS[receipt.outcome]}${cost}`)
      this.#offer()
    } catch (error) {
      this.#note('cancel', isImageJobError(error) ? error.detail : String(error))
    }
  }

  async #retry(jobId: string): Promise<void> {
    this.#facts.clear()
    this.#reached = 0
    this.#say('waiting', 'Trying again', '')
    this.#offer()
    await this.#attempt(async () => {
      const receipt = await this.#images.retryJob(jobId)
      const cost = receipt.estimated === null ? 'cost unknown' : credits(receipt.estimated)
      const again = receipt.mayBuyTwice ? 'Retry: the first try may be charged too' : `Retry: ${cost}`
      this.#note('retry', receipt.isPaidAlready ? 'Retry: paid already, storing it is free' : again)
      await this.#follow(jobId)
    })
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!isImageJobError(error)) throw error
      this.#fail(error)
    }
  }

  async #quote(jobId: string): Promise<void> {
    const job = await this.#images.getJob(jobId).catch(() => null)
    if (job && job.cost.estimated !== null && !this.#facts.has('cost')) this.#note('cost', `Estimate: ${credits(job.cost.estimated)}`)
  }

  #tell({ status, event }: Progress): void {
    this.#seq = event?.seq ?? this.#seq
    if (status === 'failed' || status === 'canceled' || status === 'completed') return // the whole job follows
    const [title, detail] = STATES[status]
    const seconds = event?.data['retryInSeconds']
    const again = typeof seconds === 'number' ? `${String(event?.data['message'] ?? '')} Next try in ${seconds.toFixed(1)} s.` : detail
    this.#step(status)
    this.#say('waiting', typeof seconds === 'number' ? 'Waiting for the next try' : title, again)
  }

  #show(job: JobBody): void {
    this.#step('completed')
    const picture = this.element.querySelector('img') as HTMLImageElement
    picture.alt = job.prompt
    picture.src = job.publicUrl ?? ''
    picture.hidden = false
    const seconds = (Date.parse(job.completedAt ?? job.updatedAt) - Date.parse(job.createdAt)) / 1000
    if (job.image) this.#note('size', `${job.image.width} × ${job.image.height}`)
    this.#note('time', `${seconds.toFixed(1)} s`)
    this.#note('cost', job.cost.actual === null ? 'Cost unknown' : `Cost: ${credits(job.cost.actual)}`)
    this.#say('completed', STATES.completed[0], '')
    this.#offer()
    this.#find('.actions').append(link('Open the picture', picture.src))
  }

  #fail(error: AnyImageJobError): void {
    const isEnd = error.job !== null
    const kind = error.reason === 'canceled' ? 'canceled' : error.reason === 'wait_timed_out' ? 'waiting' : 'failed'
    this.#say(kind, titleOf(error), error.detail)
    this.#note('billed', BILLED[error.billed])
    if (error.failureStage) {
      this.#step(error.failureStage === 'persisting' ? 'uploading' : error.failureStage)
      this.#note('stage', `Failed while ${error.failureStage}`)
    }
    if (error.job) this.#note('cost', error.job.cost.actual === null ? 'Cost unknown' : `Cost: ${credits(error.job.cost.actual)}`)
    this.#note('code', `${error.code} · ${error.reason}`)
    const { jobId } = error
    if (kind === 'canceled') this.#offer()
    else if (jobId && isEnd) this.#offer([error.retryable ? 'Try again' : 'Try all the same', () => this.#retry(jobId)])
    else if (this.#jobId) this.#offer(['Look again', () => this.#attempt(() => this.#follow(this.#jobId ?? ''))])
    else this.#offer(['Send again', () => this.start()])
  }

  /** The rail shows how far it came; a job that is tried again goes back to its beginning. */
  #step(status: JobStatus): void {
    this.#reached = STEPS.indexOf(status)
    const steps = this.#find('.steps').children
    for (const [index, step] of Array.from(steps).entries()) {
      step.classList.toggle('done', index < this.#reached || status === 'completed')
      step.toggleAttribute('aria-current', false)
      if (index === this.#reached) step.setAttribute('aria-current', 'step')
    }
  }

  #say(kind: 'waiting' | 'completed' | 'failed' | 'canceled', title: string, detail: string): void {
    this.element.dataset['kind'] = kind
    this.#find('.title').textContent = title
    this.#find('.detail').textContent = detail
    this.#find('.glyph').textContent = kind === 'failed' ? '!' : kind === 'canceled' ? '–' : ''
  }

  #note(name: string, text: string): void {
    this.#facts.set(name, text)
    this.#find('.facts').replaceChildren(...Array.from(this.#facts, ([key, value]) => made('li', value, key)))
  }

  #offer(...actions: [label: string, act: () => Promise<void>][]): void {
    const buttons = actions.map(([label, act]) => {
      const button = made('button', label) as HTMLButtonElement
      button.type = 'button'
      button.setAttribute('aria-label', `${label}: ${this.#request.prompt}`)
      button.addEventListener('click', () => void act())
      return button
    })
    const hadFocus = this.#find('.actions').contains(document.activeElement)
    this.#find('.actions').replaceChildren(...buttons)
    if (hadFocus) (buttons[0] ?? this.#find('.prompt')).focus()
  }

  #find(selector: string): HTMLElement {
    return this.element.querySelector(selector) as HTMLElement
  }
}

function made(tag: string, text: string, className = ''): HTMLElement {
  const element = document.createElement(tag)
  element.textContent = text
  element.className = className
  return element
}

function link(text: string, href: string): HTMLElement {
  const element = made('a', text) as HTMLAnchorElement
  element.href = href
  element.target = '_blank'
  element.rel = 'noreferrer'
  return element
}
