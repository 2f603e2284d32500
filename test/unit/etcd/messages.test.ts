import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader'
import { served } from '../../../src/etcd/messages.ts'

const require = createRequire(import.meta.url)

/** etcd's own definitions, as its client for Node ships them. */
const ETCD = loadSync(require.resolve('etcd3/proto/rpc.proto'), { keepCase: true })

interface Field {
  name: string
  number: number
  type: string | number
  label: string | number
  typeName?: string
}

/** Name, number, label and type of each field; an enumeration travels as an int32 does. */
function fieldsOf(type: object): string[] {
  const { field } = (type as { type: { field: Field[] } }).type
  return field
    .map(({ name, number, label, type, typeName = '' }) => {
      const kind = type === 'TYPE_ENUM' ? 'TYPE_INT32' : type
      const message = type === 'TYPE_MESSAGE' ? (typeName.split('.').at(-1) ?? '') : ''
      return `${label} ${kind} ${message} ${name} = ${number}`.replaceAll(/ +/g, ' ')
    })
    .sort()
}

for (const name of ['KV', 'Watch', 'Cluster', 'Maintenance'] as const) {
  test(`the messages of ${name} have etcd's names, numbers and types`, () => {
    const theirs = ETCD[`etcdserverpb.${name}`] as ServiceDefinition
    for (const [method, ours] of Object.entries(served(name))) {
      const original = theirs[method]
      assert(original, `etcd has no ${method}`)
      assert.equal(ours.path, original.path)
      assert.deepEqual(
        [ours.requestStream, ours.responseStream],
        [original.requestStream, original.responseStream],
      )
      assert(fieldsOf(ours.responseType).length > 0)
      assert.deepEqual(fieldsOf(ours.requestType), fieldsOf(original.requestType))
      assert.deepEqual(fieldsOf(ours.responseType), fieldsOf(original.responseType))
    }
  })
}

test('what is written here, etcd reads, 64-bit numbers and nested key-values included', () => {
  const ours = served('KV').Range
  const theirs = (ETCD['etcdserverpb.KV'] as ServiceDefinition).Range
  assert(ours && theirs)
  const kv = { key: Buffer.from('/tools/a'), value: Buffer.from([0, 255]), mod_revision: '9007199254740993' }
  const bytes = ours.responseSerialize({
    kvs: [kv],
    count: '1',
    header: { cluster_id: '18446744073709551615' },
  })
  const read = theirs.responseDeserialize(bytes) as {
    kvs: { key: Buffer; value: Buffer; mod_revision: string }[]
    header: { cluster_id: string }
  }
  assert.equal(String(read.kvs[0]?.mod_revision), '9007199254740993')
  assert.deepEqual(read.kvs[0]?.value, Buffer.from([0, 255]))
  assert.equal(String(read.header.cluster_id), '18446744073709551615')
})
