/** What this node says to a client that pushes (gitprotocol-pack(5), "Reference Discovery" and "Report Status"). */
import { strangersWords } from '../../base/strangers-words.ts'
import { NO_COMMIT } from '../git/git-directory.ts'
import { BAND_DATA, BAND_ERROR, BAND_PROGRESS, bandPackets, FLUSH, packet } from '../git/pkt-line.ts'

/**
 * What is kept (stock-git.md §4). Packs come whole (`no-thin`). Deletions are understood and refused: a client that is
 * not offered `delete-refs` refuses them itself, and does not say why.
 */
export const PUSH_CAPABILITIES = [
  'report-status',
  'side-band-64k',
  'ofs-delta',
  'delete-refs',
  'atomic',
  'no-thin',
  'quiet',
  'object-format=sha1',
  'agent=mao',
] as const

/** The branches that can be pushed to or are known here, as receive-pack tells them. */
export function pushAdvertisement(branches: ReadonlyMap<string, string>): Buffer {
  const capabilities = `\0${PUSH_CAPABILITIES.join(' ')}`
  const refs = [...branches].map(([branch, commit]) => `${commit} refs/heads/${branch}`).sort(byRef)
  // A repository without refs names its capabilities beside a ref that cannot be.
  const lines = refs.length === 0 ? [`${NO_COMMIT} capabilities^{}`] : refs
  return Buffer.concat([...lines.map((line, i) => packet(`${line}${i === 0 ? capabilities : ''}\n`)), FLUSH])
}

function byRef(a: string, b: string): number {
  return a.slice(41) < b.slice(41) ? -1 : 1
}

/** What became of one ref; without a reason it has moved. */
export interface PushOutcome {
  readonly ref: string
  readonly refusal?: string | undefined
}

/** How a client wants to be spoken to. */
export class PushVoice {
  readonly #banded: boolean
  readonly #quiet: boolean
  readonly #reports: boolean

  constructor(capabilities: ReadonlySet<string>) {
    this.#banded = capabilities.has('side-band-64k')
    this.#quiet = capabilities.has('quiet')
    this.#reports = capabilities.has('report-status')
  }

  /** A line that git shows behind `remote:`. */
  *progress(text: string): Generator<Uint8Array> {
    if (this.#banded && !this.#quiet)
      yield* bandPackets(BAND_PROGRESS, Buffer.from(`${strangersWords(text)}\n`))
  }

  /** Nothing, said aloud, so that neither side nor a proxy takes the silence of long work for the end. */
  *alive(): Generator<Uint8Array> {
    if (this.#banded) yield packet(Buffer.of(BAND_DATA))
  }

  /**
   * What became of the push (stock-git.md P18).
   *
   * @param unpacked why nothing of the pack was taken, or undefined when all is well with it.
   */
  *report(unpacked: string | undefined, outcomes: readonly PushOutcome[]): Generator<Uint8Array> {
    if (this.#reports) {
      const lines = [`unpack ${unpacked === undefined ? 'ok' : strangersWords(unpacked)}`]
      for (const { ref, refusal } of outcomes) {
        lines.push(refusal === undefined ? `ok ${ref}` : `ng ${ref} ${strangersWords(refusal)}`)
      }
      const report = Buffer.concat([...lines.map((line) => packet(`${line}\n`)), FLUSH])
      if (this.#banded) yield* bandPackets(BAND_DATA, report)
      else yield report
    }
    if (this.#banded) yield FLUSH
  }
}

/** The last words to a client whose push could not even be understood; all that speak with us take bands. */
export function pushFailure(text: string): Buffer {
  return Buffer.concat([...bandPackets(BAND_ERROR, Buffer.from(`${strangersWords(text)}\n`)), FLUSH])
}
