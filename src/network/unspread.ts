import { gossipIgnoredMax } from '../base/limits.ts'

/** What a topic's judge may say of a message. Reject costs the sender. */
export type TopicVerdict = 'accept' | 'ignore' | 'reject'

/**
 * The messages that came by gossip and went on to nobody. gossipsub holds them for seen, and says nothing twice: when
 * this node comes to say one of them itself, since it was brought by other means or is found to be good after all,
 * neighbours that have only this node would never hear it.
 */
export class Unspread {
  /** Under judgement; true for what this node has said itself meanwhile. */
  readonly #judged = new Map<string, boolean>()
  readonly #ignored = new Set<string>()

  /** A message came, and is going to be judged. */
  came(id: string): void {
    this.#judged.set(id, false)
  }

  /** @returns the verdict to be kept: a message that this node says itself goes on, however it was judged. */
  judged(id: string, verdict: TopicVerdict): TopicVerdict {
    const isSaid = this.#judged.get(id) === true
    this.#judged.delete(id)
    if (verdict !== 'ignore') return verdict
    if (isSaid) return 'accept'
    this.#ignored.add(id)
    const [oldest] = this.#ignored
    if (this.#ignored.size > gossipIgnoredMax && oldest !== undefined) this.#ignored.delete(oldest)
    return verdict
  }

  /**
   * This node says the message itself.
   *
   * @returns `judging` when the verdict will pass it on, `ignored` when it has to be said anew, else `new`.
   */
  said(id: string): 'judging' | 'ignored' | 'new' {
    if (this.#judged.has(id)) {
      this.#judged.set(id, true)
      return 'judging'
    }
    return this.#ignored.delete(id) ? 'ignored' : 'new'
  }
}
