/**
 * What the services see of etcd's requests once they are decoded (etcd: api/etcdserverpb/rpc.proto): names are those of
 * the protocol, int64 is a bigint, bytes are a window into the request, a message that is not there is undefined.
 */
export interface RangeRequest {
  readonly key: Uint8Array
  readonly range_end: Uint8Array
  readonly limit: bigint
  readonly revision: bigint
  readonly sort_order: number
  readonly sort_target: number
  readonly keys_only: boolean
  readonly count_only: boolean
  readonly min_mod_revision: bigint
  readonly max_mod_revision: bigint
  readonly min_create_revision: bigint
  readonly max_create_revision: bigint
}

export interface PutRequest {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly lease: bigint
  readonly prev_kv: boolean
  readonly ignore_value: boolean
  readonly ignore_lease: boolean
}

export interface DeleteRangeRequest {
  readonly key: Uint8Array
  readonly range_end: Uint8Array
  readonly prev_kv: boolean
}

export interface Compare {
  readonly result: number
  readonly target: number
  readonly key: Uint8Array
  readonly version: bigint
  readonly create_revision: bigint
  readonly mod_revision: bigint
  readonly value: Uint8Array
  readonly lease: bigint
  readonly range_end: Uint8Array
}

export interface RequestOp {
  readonly request_range: RangeRequest | undefined
  readonly request_put: PutRequest | undefined
  readonly request_delete_range: DeleteRangeRequest | undefined
  readonly request_txn: TxnRequest | undefined
}

export interface TxnRequest {
  readonly compare: readonly Compare[]
  readonly success: readonly RequestOp[]
  readonly failure: readonly RequestOp[]
}

export interface CompactionRequest {
  readonly revision: bigint
}

export interface WatchCreateRequest {
  readonly key: Uint8Array
  readonly range_end: Uint8Array
  readonly start_revision: bigint
  readonly progress_notify: boolean
  readonly filters: readonly number[]
  readonly prev_kv: boolean
  readonly watch_id: bigint
  readonly fragment: boolean
}

export interface WatchRequest {
  readonly create_request: WatchCreateRequest | undefined
  readonly cancel_request: { readonly watch_id: bigint } | undefined
  readonly progress_request: object | undefined
}

/** Of every request about one lease. */
export interface LeaseRequest {
  readonly ID: bigint
}

export interface LeaseGrantRequest extends LeaseRequest {
  readonly TTL: bigint
}

export interface LeaseTimeToLiveRequest extends LeaseRequest {
  readonly keys: boolean
}

export interface AuthenticateRequest {
  readonly name: string
  readonly password: string
}
