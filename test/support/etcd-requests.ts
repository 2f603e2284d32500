import type {
  Compare,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
  WatchCreateRequest,
} from '../../src/etcd/requests.ts'

/** Requests as the codec hands them over: whatever is not said is its default. */
const NONE = Buffer.alloc(0)
const bytes = (text: string) => Buffer.from(text, 'latin1')

export function rangeRequest(key: string, end = '', more: Partial<RangeRequest> = {}): RangeRequest {
  const bounds = {
    min_mod_revision: 0n,
    max_mod_revision: 0n,
    min_create_revision: 0n,
    max_create_revision: 0n,
  }
  const order = { sort_order: 0, sort_target: 0, keys_only: false, count_only: false }
  return { key: bytes(key), range_end: bytes(end), limit: 0n, revision: 0n, ...order, ...bounds, ...more }
}

export function putRequest(key: string, value: string, more: Partial<PutRequest> = {}): PutRequest {
  const flags = { prev_kv: false, ignore_value: false, ignore_lease: false }
  return { key: bytes(key), value: Buffer.from(value), lease: 0n, ...flags, ...more }
}

export function deleteRequest(key: string, end = '', prev_kv = false): DeleteRangeRequest {
  return { key: bytes(key), range_end: bytes(end), prev_kv }
}

export function txnRequest(more: Partial<TxnRequest> = {}): TxnRequest {
  return { compare: [], success: [], failure: [], ...more }
}

const OP: RequestOp = {
  request_range: undefined,
  request_put: undefined,
  request_delete_range: undefined,
  request_txn: undefined,
}
export const putOp = (key: string, value = ''): RequestOp => ({ ...OP, request_put: putRequest(key, value) })
export const rangeOp = (key: string, end = ''): RequestOp => ({
  ...OP,
  request_range: rangeRequest(key, end),
})
export const deleteOp = (key: string, end = ''): RequestOp => ({
  ...OP,
  request_delete_range: deleteRequest(key, end),
})
export const txnOp = (more: Partial<TxnRequest>): RequestOp => ({ ...OP, request_txn: txnRequest(more) })
export const EMPTY_OP = OP

/** `key` has version 0: it is not there. */
export function missing(key: string): Compare {
  const figures = { version: 0n, create_revision: 0n, mod_revision: 0n, lease: 0n, value: NONE }
  return { result: 0, target: 0, key: bytes(key), range_end: NONE, ...figures }
}

export function watchRequest(
  key: string,
  end = '',
  more: Partial<WatchCreateRequest> = {},
): WatchCreateRequest {
  const flags = { progress_notify: false, prev_kv: false, fragment: false }
  const which = { start_revision: 0n, filters: [], watch_id: 0n }
  return { key: bytes(key), range_end: bytes(end), ...flags, ...which, ...more }
}
