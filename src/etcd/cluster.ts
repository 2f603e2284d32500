/** etcd's Cluster service (protocols/etcd.md §7): the members of the federation. */
import type { Members } from '../federation/members.ts'
import { type HeaderAt, numberOf } from './header.ts'

export interface ClusterParts {
  readonly members: Pick<Members, 'list'>
  /** This node's peer id. */
  readonly self: string
  /** Where this surface is reached, as far as it is known. */
  readonly urls: () => readonly string[]
  readonly header: HeaderAt
  readonly revision: () => number
}

export class Cluster {
  readonly #parts: ClusterParts
  /** As `GrpcServer` takes them. */
  readonly unary = {
    MemberList: () => this.memberList(),
  }

  constructor(parts: ClusterParts) {
    this.#parts = parts
  }

  memberList() {
    const { members, self, urls, header, revision } = this.#parts
    const list = members.list().map(({ peer, name }) => ({
      ID: numberOf(peer),
      name,
      peerURLs: [`p2p://${peer}`],
      // Only this node's surface can be reached: those of others stand on their own loopback.
      clientURLs: peer === self ? urls() : [],
    }))
    return { header: header(revision()), members: list }
  }
}
