import { z } from 'zod'
import { printable } from '../base/strangers-words.ts'
import type { ApiClient } from './client.ts'
import { followStream } from './event-stream.ts'
import { bytesText } from './output.ts'
import type { Session } from './session.ts'

const progressSchema = z.object({
  event: z.object({
    type: z.literal('progress'),
    dataset: z.string(),
    member: z.string(),
    phase: z.string(),
    bytes: z.number(),
    objectsTotal: z.number().optional(),
  }),
})

/** One line on a terminal that says what is being received of a dataset, drawn over and over; nothing elsewhere. */
export class FetchProgress {
  readonly #session: Session
  readonly #over = new AbortController()
  readonly #drawing: Promise<void>
  #isDrawn = false

  constructor(session: Session, client: ApiClient, dataset: string) {
    this.#session = session
    const { stderr } = session.terminal
    const isTerminal = 'isTTY' in stderr && stderr.isTTY === true && !session.out.quiet
    // Without it the fetching is the same; so is what it ends with.
    this.#drawing = isTerminal ? this.#draw(client, dataset).catch(() => undefined) : Promise.resolve()
  }

  /** Takes the line away. */
  async end(): Promise<void> {
    this.#over.abort()
    await this.#drawing
    if (this.#isDrawn) this.#session.terminal.stderr.write('\r\u001b[K')
  }

  async #draw(client: ApiClient, dataset: string): Promise<void> {
    for await (const { data } of followStream(client, '/events', { types: 'dataset' }, this.#over.signal)) {
      const { event } = progressSchema.safeParse(JSON.parse(data)).data ?? {}
      if (event?.dataset !== dataset) continue
      const objects = event.objectsTotal === undefined ? '' : `, ${event.objectsTotal} objects`
      const line = `${event.phase} ${bytesText(event.bytes)}${objects} from ${event.member}`
      this.#isDrawn = true
      this.#session.terminal.stderr.write(`\r\u001b[K${printable(line, '')}`)
    }
  }
}
