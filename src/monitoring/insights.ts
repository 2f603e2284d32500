/** The insights that members' tools have published: `/insights/<tool>/<peer>`, each the tool's last `insights.json`. */
import type { Members } from '../federation/members.ts'
import { decodeJson } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import type { Entry } from '../registry/watchers.ts'

const PREFIX = '/insights/'

export interface Insight {
  readonly tool: string
  readonly peer: string
  /** Name of the member; its peer id when it is a member no more. */
  readonly node: string
  readonly timeMs: number
  /** Bytes of the JSON. */
  readonly bytes: number
  /** What the tool said: any JSON. */
  readonly value: unknown
}

export interface InsightsParts {
  readonly registry: Pick<Registry, 'list'>
  readonly members: Pick<Members, 'get'>
  /** Peer id of this node. */
  readonly peer: string
}

export class Insights {
  readonly #parts: InsightsParts

  constructor(parts: InsightsParts) {
    this.#parts = parts
  }

  /** Of one tool or of all, sorted by tool; this node's own first, then the newest. */
  list(tool?: string): Insight[] {
    const found = this.#entries(tool).flatMap((entry): Insight[] => {
      const value = decodeJson(entry.value)
      if (value === undefined) return []
      return [{ ...this.#named(entry), timeMs: entry.timeMs, bytes: entry.value.length, value }]
    })
    return found.sort((a, b) => (a.tool < b.tool ? -1 : a.tool > b.tool ? 1 : this.#before(a, b)))
  }

  /**
   * The text at a key as the predecessor named it: `insights/<tool>`, this node's own or else the newest, and
   * `insights/<tool>/<node name>`; it knew the prefix as `insight` too. Undefined for any other key.
   */
  at(key: string): string | undefined {
    const [, tool, node] = /^\/?insights?\/([^/]+)(?:\/([^/]+))?$/.exec(key) ?? []
    if (tool === undefined) return undefined
    const [insight] = this.list(tool).filter((each) => node === undefined || each.node === node)
    return insight === undefined ? undefined : JSON.stringify(insight.value)
  }

  #entries(tool: string | undefined): Entry[] {
    return this.#parts.registry.list(tool === undefined ? PREFIX : `${PREFIX}${tool}/`)
  }

  #named({ key, author }: Entry): Pick<Insight, 'tool' | 'peer' | 'node'> {
    const [tool = ''] = key.slice(PREFIX.length).split('/')
    return { tool, peer: author, node: this.#parts.members.get(author)?.name ?? author }
  }

  #before(a: Insight, b: Insight): number {
    const own = Number(b.peer === this.#parts.peer) - Number(a.peer === this.#parts.peer)
    return own === 0 ? b.timeMs - a.timeMs : own
  }
}
