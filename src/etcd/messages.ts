/**
 * The messages of etcd's v3 API that this node speaks, wire-compatible with etcd's rpc.proto and kv.proto: packages,
 * names and field numbers are etcd's. They stand here as text in the words of a .proto file, so that nothing has to be
 * copied beside the compiled program. Enumerations are read as the numbers they travel as.
 */
import type { ServiceDefinition as GrpcService } from '@grpc/grpc-js'
import { fromJSON, type ServiceDefinition } from '@grpc/proto-loader'

interface MessageShape {
  fields: Record<string, { type: string; id: number; rule?: string }>
  oneofs?: Record<string, { oneof: string[] }>
}
interface ServiceShape {
  methods: Record<string, MethodShape>
}
interface MethodShape {
  requestType: string
  responseType: string
  requestStream?: boolean
  responseStream?: boolean
  /** The loader's types ask for one. */
  comment: string
}

const KEY_VALUES = {
  KeyValue: message(
    'bytes key = 1',
    'int64 create_revision = 2',
    'int64 mod_revision = 3',
    'int64 version = 4',
    'bytes value = 5',
    'int64 lease = 6',
  ),
  Event: message('int32 type = 1', 'KeyValue kv = 2', 'KeyValue prev_kv = 3'),
}

const MESSAGES = {
  ResponseHeader: message(
    'uint64 cluster_id = 1',
    'uint64 member_id = 2',
    'int64 revision = 3',
    'uint64 raft_term = 4',
  ),
  RangeRequest: message(
    'bytes key = 1',
    'bytes range_end = 2',
    'int64 limit = 3',
    'int64 revision = 4',
    'int32 sort_order = 5',
    'int32 sort_target = 6',
    'bool serializable = 7',
    'bool keys_only = 8',
    'bool count_only = 9',
    'int64 min_mod_revision = 10',
    'int64 max_mod_revision = 11',
    'int64 min_create_revision = 12',
    'int64 max_create_revision = 13',
  ),
  RangeResponse: message(
    'ResponseHeader header = 1',
    'repeated mvccpb.KeyValue kvs = 2',
    'bool more = 3',
    'int64 count = 4',
  ),
  PutRequest: message(
    'bytes key = 1',
    'bytes value = 2',
    'int64 lease = 3',
    'bool prev_kv = 4',
    'bool ignore_value = 5',
    'bool ignore_lease = 6',
  ),
  PutResponse: message('ResponseHeader header = 1', 'mvccpb.KeyValue prev_kv = 2'),
  DeleteRangeRequest: message('bytes key = 1', 'bytes range_end = 2', 'bool prev_kv = 3'),
  DeleteRangeResponse: message(
    'ResponseHeader header = 1',
    'int64 deleted = 2',
    'repeated mvccpb.KeyValue prev_kvs = 3',
  ),
  WatchRequest: {
    ...message(
      'WatchCreateRequest create_request = 1',
      'WatchCancelRequest cancel_request = 2',
      'WatchProgressRequest progress_request = 3',
    ),
    oneofs: { request_union: { oneof: ['create_request', 'cancel_request', 'progress_request'] } },
  },
  WatchCreateRequest: message(
    'bytes key = 1',
    'bytes range_end = 2',
    'int64 start_revision = 3',
    'bool progress_notify = 4',
    'repeated int32 filters = 5',
    'bool prev_kv = 6',
    'int64 watch_id = 7',
    'bool fragment = 8',
  ),
  WatchCancelRequest: message('int64 watch_id = 1'),
  WatchProgressRequest: message(),
  WatchResponse: message(
    'ResponseHeader header = 1',
    'int64 watch_id = 2',
    'bool created = 3',
    'bool canceled = 4',
    'int64 compact_revision = 5',
    'string cancel_reason = 6',
    'bool fragment = 7',
    'repeated mvccpb.Event events = 11',
  ),
  Member: message(
    'uint64 ID = 1',
    'string name = 2',
    'repeated string peerURLs = 3',
    'repeated string clientURLs = 4',
    'bool isLearner = 5',
  ),
  MemberListRequest: message('bool linearizable = 1'),
  MemberListResponse: message('ResponseHeader header = 1', 'repeated Member members = 2'),
  StatusRequest: message(),
  StatusResponse: message(
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
  ),
}

const SERVICES = {
  KV: service('Range', 'Put', 'DeleteRange'),
  Watch: {
    methods: {
      Watch: {
        requestType: 'WatchRequest',
        responseType: 'WatchResponse',
        requestStream: true,
        responseStream: true,
        comment: '',
      },
    },
  },
  Cluster: service('MemberList'),
  Maintenance: service('Status'),
}

/** What etcd serves besides: named here so that a client that asks for it is told so in words. */
const UNSERVED: Record<string, readonly string[]> = {
  KV: ['Txn', 'Compact'],
  Lease: ['LeaseGrant', 'LeaseRevoke', 'LeaseKeepAlive', 'LeaseTimeToLive', 'LeaseLeases'],
  Cluster: ['MemberAdd', 'MemberRemove', 'MemberUpdate', 'MemberPromote'],
  Maintenance: ['Alarm', 'Defragment', 'Hash', 'HashKV', 'Snapshot', 'MoveLeader', 'Downgrade'],
  Auth: [
    ...['AuthEnable', 'AuthDisable', 'AuthStatus', 'Authenticate'],
    ...[
      'UserAdd',
      'UserGet',
      'UserList',
      'UserDelete',
      'UserChangePassword',
      'UserGrantRole',
      'UserRevokeRole',
    ],
    ...['RoleAdd', 'RoleGet', 'RoleList', 'RoleDelete', 'RoleGrantPermission', 'RoleRevokePermission'],
  ],
}

/** int64 and uint64 come and go as decimal text, since a JavaScript number does not hold them. */
const OPTIONS = { keepCase: true, longs: String, defaults: true, oneofs: true }

const DEFINITIONS = fromJSON(
  { nested: { mvccpb: { nested: KEY_VALUES }, etcdserverpb: { nested: { ...MESSAGES, ...SERVICES } } } },
  OPTIONS,
)

/** The gRPC definition of one service with the methods that are served. */
export function served(name: keyof typeof SERVICES): ServiceDefinition {
  return DEFINITIONS[`etcdserverpb.${name}`] as ServiceDefinition
}

/** Definitions of the methods that are not served: their messages are not read, so they need no shape. */
export function unserved(): GrpcService {
  const bytes = { serialize: (value: Buffer) => value, deserialize: (value: Buffer) => value }
  const methods: Record<string, GrpcService[string]> = {}
  for (const [name, list] of Object.entries(UNSERVED)) {
    for (const method of list) {
      methods[method] = {
        path: `/etcdserverpb.${name}/${method}`,
        requestStream: method === 'LeaseKeepAlive',
        responseStream: method === 'LeaseKeepAlive' || method === 'Snapshot',
        requestSerialize: bytes.serialize,
        requestDeserialize: bytes.deserialize,
        responseSerialize: bytes.serialize,
        responseDeserialize: bytes.deserialize,
      }
    }
  }
  return methods
}

/** Each method `<name>` takes `<name>Request` and answers `<name>Response`. */
function service(...names: string[]): ServiceShape {
  const methods = names.map((name) => {
    return [name, { requestType: `${name}Request`, responseType: `${name}Response`, comment: '' }]
  })
  return { methods: Object.fromEntries(methods) }
}

/** A message from its fields as a .proto file writes them: `[repeated] type name = number`. */
function message(...fields: string[]): MessageShape {
  const entries = fields.map((field) => {
    const [, rule, type = '', name = '', id] = /^(repeated )?(\S+) (\S+) = (\d+)$/.exec(field) ?? []
    return [name, { type, id: Number(id), ...(rule === undefined ? {} : { rule: 'repeated' }) }]
  })
  return { fields: Object.fromEntries(entries) }
}
