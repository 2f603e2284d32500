/**
 * The messages and services of etcd's v3 API, wire-compatible with the rpc.proto, kv.proto and auth.proto of etcd 3.4:
 * names and field numbers are etcd's. They stand here in the words of a .proto file, so that nothing has to be copied
 * beside the compiled program; `schema.ts` reads them.
 */

/** Values by number. `.` parts the message that an enumeration stands in, as its full name does. */
export const ENUMS: Readonly<Record<string, readonly string[]>> = {
  'RangeRequest.SortOrder': ['NONE', 'ASCEND', 'DESCEND'],
  'RangeRequest.SortTarget': ['KEY', 'VERSION', 'CREATE', 'MOD', 'VALUE'],
  'Compare.CompareResult': ['EQUAL', 'GREATER', 'LESS', 'NOT_EQUAL'],
  'Compare.CompareTarget': ['VERSION', 'CREATE', 'MOD', 'VALUE', 'LEASE'],
  'WatchCreateRequest.FilterType': ['NOPUT', 'NODELETE'],
  'Event.EventType': ['PUT', 'DELETE'],
  'AlarmRequest.AlarmAction': ['GET', 'ACTIVATE', 'DEACTIVATE'],
  AlarmType: ['NONE', 'NOSPACE', 'CORRUPT'],
}

/** Only kv.proto has a package of its own; all others are of `etcdserverpb`. */
export const MVCC_MESSAGES: readonly string[] = ['KeyValue', 'Event']

/** Each field as a .proto file writes it: `[repeated | oneof union] type name = number`. */
export const MESSAGES: Readonly<Record<string, readonly string[]>> = {
  KeyValue: [
    'bytes key = 1',
    'int64 create_revision = 2',
    'int64 mod_revision = 3',
    'int64 version = 4',
    'bytes value = 5',
    'int64 lease = 6',
  ],
  Event: ['Event.EventType type = 1', 'KeyValue kv = 2', 'KeyValue prev_kv = 3'],
  ResponseHeader: [
    'uint64 cluster_id = 1',
    'uint64 member_id = 2',
    'int64 revision = 3',
    'uint64 raft_term = 4',
  ],

  RangeRequest: [
    'bytes key = 1',
    'bytes range_end = 2',
    'int64 limit = 3',
    'int64 revision = 4',
    'RangeRequest.SortOrder sort_order = 5',
    'RangeRequest.SortTarget sort_target = 6',
    'bool serializable = 7',
    'bool keys_only = 8',
    'bool count_only = 9',
    'int64 min_mod_revision = 10',
    'int64 max_mod_revision = 11',
    'int64 min_create_revision = 12',
    'int64 max_create_revision = 13',
  ],
  RangeResponse: [
    'ResponseHeader header = 1',
    'repeated KeyValue kvs = 2',
    'bool more = 3',
    'int64 count = 4',
  ],
  PutRequest: [
    'bytes key = 1',
    'bytes value = 2',
    'int64 lease = 3',
    'bool prev_kv = 4',
    'bool ignore_value = 5',
    'bool ignore_lease = 6',
  ],
  PutResponse: ['ResponseHeader header = 1', 'KeyValue prev_kv = 2'],
  DeleteRangeRequest: ['bytes key = 1', 'bytes range_end = 2', 'bool prev_kv = 3'],
  DeleteRangeResponse: ['ResponseHeader header = 1', 'int64 deleted = 2', 'repeated KeyValue prev_kvs = 3'],
  RequestOp: [
    'oneof request RangeRequest request_range = 1',
    'oneof request PutRequest request_put = 2',
    'oneof request DeleteRangeRequest request_delete_range = 3',
    'oneof request TxnRequest request_txn = 4',
  ],
  ResponseOp: [
    'oneof response RangeResponse response_range = 1',
    'oneof response PutResponse response_put = 2',
    'oneof response DeleteRangeResponse response_delete_range = 3',
    'oneof response TxnResponse response_txn = 4',
  ],
  Compare: [
    'Compare.CompareResult result = 1',
    'Compare.CompareTarget target = 2',
    'bytes key = 3',
    'oneof target_union int64 version = 4',
    'oneof target_union int64 create_revision = 5',
    'oneof target_union int64 mod_revision = 6',
    'oneof target_union bytes value = 7',
    'oneof target_union int64 lease = 8',
    'bytes range_end = 64',
  ],
  TxnRequest: [
    'repeated Compare compare = 1',
    'repeated RequestOp success = 2',
    'repeated RequestOp failure = 3',
  ],
  TxnResponse: ['ResponseHeader header = 1', 'bool succeeded = 2', 'repeated ResponseOp responses = 3'],
  CompactionRequest: ['int64 revision = 1', 'bool physical = 2'],
  CompactionResponse: ['ResponseHeader header = 1'],

  WatchRequest: [
    'oneof request_union WatchCreateRequest create_request = 1',
    'oneof request_union WatchCancelRequest cancel_request = 2',
    'oneof request_union WatchProgressRequest progress_request = 3',
  ],
  WatchCreateRequest: [
    'bytes key = 1',
    'bytes range_end = 2',
    'int64 start_revision = 3',
    'bool progress_notify = 4',
    'repeated WatchCreateRequest.FilterType filters = 5',
    'bool prev_kv = 6',
    'int64 watch_id = 7',
    'bool fragment = 8',
  ],
  WatchCancelRequest: ['int64 watch_id = 1'],
  WatchProgressRequest: [],
  WatchResponse: [
    'ResponseHeader header = 1',
    'int64 watch_id = 2',
    'bool created = 3',
    'bool canceled = 4',
    'int64 compact_revision = 5',
    'string cancel_reason = 6',
    'bool fragment = 7',
    'repeated Event events = 11',
  ],

  LeaseGrantRequest: ['int64 TTL = 1', 'int64 ID = 2'],
  LeaseGrantResponse: ['ResponseHeader header = 1', 'int64 ID = 2', 'int64 TTL = 3', 'string error = 4'],
  LeaseRevokeRequest: ['int64 ID = 1'],
  LeaseRevokeResponse: ['ResponseHeader header = 1'],
  LeaseKeepAliveRequest: ['int64 ID = 1'],
  LeaseKeepAliveResponse: ['ResponseHeader header = 1', 'int64 ID = 2', 'int64 TTL = 3'],
  LeaseTimeToLiveRequest: ['int64 ID = 1', 'bool keys = 2'],
  LeaseTimeToLiveResponse: [
    'ResponseHeader header = 1',
    'int64 ID = 2',
    'int64 TTL = 3',
    'int64 grantedTTL = 4',
    'repeated bytes keys = 5',
  ],
  LeaseLeasesRequest: [],
  LeaseStatus: ['int64 ID = 1'],
  LeaseLeasesResponse: ['ResponseHeader header = 1', 'repeated LeaseStatus leases = 2'],

  Member: [
    'uint64 ID = 1',
    'string name = 2',
    'repeated string peerURLs = 3',
    'repeated string clientURLs = 4',
    'bool isLearner = 5',
  ],
  MemberListRequest: ['bool linearizable = 1'],
  MemberListResponse: ['ResponseHeader header = 1', 'repeated Member members = 2'],

  StatusRequest: [],
  StatusResponse: [
    'ResponseHeader header = 1',
    'string version = 2',
    'int64 dbSize = 3',
    'uint64 leader = 4',
    'uint64 raftIndex = 5',
    'uint64 raftTerm = 6',
    'uint64 raftAppliedIndex = 7',
    'repeated string errors = 8',
    'int64 dbSizeInUse = 9',
    'bool isLearner = 10',
  ],
  HashRequest: [],
  HashResponse: ['ResponseHeader header = 1', 'uint32 hash = 2'],
  HashKVRequest: ['int64 revision = 1'],
  HashKVResponse: ['ResponseHeader header = 1', 'uint32 hash = 2', 'int64 compact_revision = 3'],
  SnapshotRequest: [],
  SnapshotResponse: ['ResponseHeader header = 1', 'uint64 remaining_bytes = 2', 'bytes blob = 3'],
  AlarmRequest: ['AlarmRequest.AlarmAction action = 1', 'uint64 memberID = 2', 'AlarmType alarm = 3'],
  AlarmMember: ['uint64 memberID = 1', 'AlarmType alarm = 2'],
  AlarmResponse: ['ResponseHeader header = 1', 'repeated AlarmMember alarms = 2'],
  DefragmentRequest: [],
  DefragmentResponse: ['ResponseHeader header = 1'],
  MoveLeaderRequest: ['uint64 targetID = 1'],
  MoveLeaderResponse: ['ResponseHeader header = 1'],

  AuthEnableRequest: [],
  AuthEnableResponse: ['ResponseHeader header = 1'],
  AuthDisableRequest: [],
  AuthDisableResponse: ['ResponseHeader header = 1'],
  AuthenticateRequest: ['string name = 1', 'string password = 2'],
  AuthenticateResponse: ['ResponseHeader header = 1', 'string token = 2'],
}

/** The methods whose messages are known: `Name(Request) returns (Response)`, and where the JSON gateway has them. */
export const METHODS: Readonly<Record<string, readonly (readonly [rpc: string, ...paths: string[]])[]>> = {
  KV: [
    ['Range(RangeRequest) returns (RangeResponse)', '/v3/kv/range'],
    ['Put(PutRequest) returns (PutResponse)', '/v3/kv/put'],
    ['DeleteRange(DeleteRangeRequest) returns (DeleteRangeResponse)', '/v3/kv/deleterange'],
    ['Txn(TxnRequest) returns (TxnResponse)', '/v3/kv/txn'],
    ['Compact(CompactionRequest) returns (CompactionResponse)', '/v3/kv/compaction'],
  ],
  Watch: [['Watch(stream WatchRequest) returns (stream WatchResponse)', '/v3/watch']],
  Lease: [
    ['LeaseGrant(LeaseGrantRequest) returns (LeaseGrantResponse)', '/v3/lease/grant'],
    [
      'LeaseRevoke(LeaseRevokeRequest) returns (LeaseRevokeResponse)',
      '/v3/lease/revoke',
      '/v3/kv/lease/revoke',
    ],
    [
      'LeaseKeepAlive(stream LeaseKeepAliveRequest) returns (stream LeaseKeepAliveResponse)',
      '/v3/lease/keepalive',
    ],
    [
      'LeaseTimeToLive(LeaseTimeToLiveRequest) returns (LeaseTimeToLiveResponse)',
      '/v3/lease/timetolive',
      '/v3/kv/lease/timetolive',
    ],
    [
      'LeaseLeases(LeaseLeasesRequest) returns (LeaseLeasesResponse)',
      '/v3/lease/leases',
      '/v3/kv/lease/leases',
    ],
  ],
  Cluster: [['MemberList(MemberListRequest) returns (MemberListResponse)', '/v3/cluster/member/list']],
  Maintenance: [
    ['Alarm(AlarmRequest) returns (AlarmResponse)', '/v3/maintenance/alarm'],
    ['Status(StatusRequest) returns (StatusResponse)', '/v3/maintenance/status'],
    ['Defragment(DefragmentRequest) returns (DefragmentResponse)', '/v3/maintenance/defragment'],
    // etcd binds two methods to one path, of which it serves the first.
    ['Hash(HashRequest) returns (HashResponse)', '/v3/maintenance/hash'],
    ['HashKV(HashKVRequest) returns (HashKVResponse)'],
    ['Snapshot(SnapshotRequest) returns (stream SnapshotResponse)', '/v3/maintenance/snapshot'],
    ['MoveLeader(MoveLeaderRequest) returns (MoveLeaderResponse)', '/v3/maintenance/transfer-leadership'],
  ],
  Auth: [
    ['AuthEnable(AuthEnableRequest) returns (AuthEnableResponse)', '/v3/auth/enable'],
    ['AuthDisable(AuthDisableRequest) returns (AuthDisableResponse)', '/v3/auth/disable'],
    ['Authenticate(AuthenticateRequest) returns (AuthenticateResponse)', '/v3/auth/authenticate'],
  ],
}

/** What etcd serves besides: named here so that a client that asks for it is told so in words. */
export const FURTHER_METHODS: Readonly<Record<string, readonly (readonly [name: string, path: string])[]>> = {
  Cluster: [
    ['MemberAdd', '/v3/cluster/member/add'],
    ['MemberRemove', '/v3/cluster/member/remove'],
    ['MemberUpdate', '/v3/cluster/member/update'],
    ['MemberPromote', '/v3/cluster/member/promote'],
  ],
  Auth: [
    ['UserAdd', '/v3/auth/user/add'],
    ['UserGet', '/v3/auth/user/get'],
    ['UserList', '/v3/auth/user/list'],
    ['UserDelete', '/v3/auth/user/delete'],
    ['UserChangePassword', '/v3/auth/user/changepw'],
    ['UserGrantRole', '/v3/auth/user/grant'],
    ['UserRevokeRole', '/v3/auth/user/revoke'],
    ['RoleAdd', '/v3/auth/role/add'],
    ['RoleGet', '/v3/auth/role/get'],
    ['RoleList', '/v3/auth/role/list'],
    ['RoleDelete', '/v3/auth/role/delete'],
    ['RoleGrantPermission', '/v3/auth/role/grant'],
    ['RoleRevokePermission', '/v3/auth/role/revoke'],
  ],
}
