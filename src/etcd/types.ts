/** What the handlers see of etcd's messages: int64 is decimal text, bytes are Buffers, absent messages are null. */

export interface ResponseHeader {
  readonly cluster_id: string
  readonly member_id: string
  readonly revision: string
  readonly raft_term: string
}

export interface KeyValue {
  readonly key: Uint8Array
  readonly create_revision: string
  readonly mod_revision: string
  readonly version: string
  readonly value: Uint8Array
  readonly lease: string
}

export const PUT_EVENT = 0
export const DELETE_EVENT = 1

export interface Event {
  readonly type: typeof PUT_EVENT | typeof DELETE_EVENT
  readonly kv: Partial<KeyValue>
  readonly prev_kv: KeyValue | undefined
}

export interface RangeRequest {
  readonly key: Buffer
  readonly range_end: Buffer
  readonly limit: string
  readonly revision: string
  readonly sort_order: number
  readonly sort_target: number
  readonly keys_only: boolean
  readonly count_only: boolean
  readonly min_mod_revision: string
  readonly max_mod_revision: string
  readonly min_create_revision: string
  readonly max_create_revision: string
}

export interface RangeResponse {
  readonly header: ResponseHeader
  readonly kvs: readonly KeyValue[]
  readonly more: boolean
  readonly count: string
}

export interface PutRequest {
  readonly key: Buffer
  readonly value: Buffer
  readonly lease: string
  readonly prev_kv: boolean
  readonly ignore_value: boolean
  readonly ignore_lease: boolean
}

export interface PutResponse {
  readonly header: ResponseHeader
  readonly prev_kv?: KeyValue
}

export interface DeleteRangeRequest {
  readonly key: Buffer
  readonly range_end: Buffer
  readonly prev_kv: boolean
}

export interface DeleteRangeResponse {
  readonly header: ResponseHeader
  readonly deleted: string
  readonly prev_kvs: readonly KeyValue[]
}

export const NO_PUT_FILTER = 0
export const NO_DELETE_FILTER = 1

export interface WatchCreateRequest {
  readonly key: Buffer
  readonly range_end: Buffer
  readonly start_revision: string
  readonly filters: readonly number[]
  readonly prev_kv: boolean
  readonly watch_id: string
}

export interface WatchRequest {
  readonly create_request: WatchCreateRequest | null
  readonly cancel_request: { readonly watch_id: string } | null
  readonly progress_request: object | null
}

export interface WatchResponse {
  readonly header: ResponseHeader
  readonly watch_id: string
  readonly created?: boolean
  readonly canceled?: boolean
  readonly compact_revision?: string
  readonly cancel_reason?: string
  readonly events?: readonly Event[]
}

export interface MemberListResponse {
  readonly header: ResponseHeader
  readonly members: readonly {
    readonly ID: string
    readonly name: string
    readonly peerURLs: readonly string[]
    readonly clientURLs: readonly string[]
    readonly isLearner: boolean
  }[]
}

export interface StatusResponse {
  readonly header: ResponseHeader
  readonly version: string
  readonly dbSize: string
  readonly dbSizeInUse: string
  readonly leader: string
  readonly raftIndex: string
  readonly raftTerm: string
  readonly raftAppliedIndex: string
}
