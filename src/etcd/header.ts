/**
 * The header of every response (etcd: rpc.proto, ResponseHeader). Only its revision ever changes, so its bytes are kept:
 * ids of 64 bits are slow to write.
 */
import { createHash } from 'node:crypto'

export interface ResponseHeader {
  readonly cluster_id: bigint
  readonly member_id: bigint
  readonly revision: number
  readonly raft_term: number
}

/** Makes the header of a response that is given at a revision of this node. */
export type HeaderAt = (revision: number) => ResponseHeader

/** There are no terms without Raft; clients expect a number above zero. */
export const TERM = 1

/** @returns how to make headers of the answers of `member` in `cluster`. */
export function headersOf(cluster: bigint, member: bigint): HeaderAt {
  const same = { cluster_id: cluster, member_id: member, raft_term: TERM }
  let last: ResponseHeader = { ...same, revision: -1 }
  return (revision) => {
    if (last.revision !== revision) last = { ...same, revision }
    return last
  }
}

/** etcd's ids are 64-bit numbers: the first eight bytes of the SHA-256 of ours. */
export function numberOf(id: string): bigint {
  return createHash('sha256').update(id).digest().readBigUInt64BE()
}
