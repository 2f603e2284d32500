import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Field, messageNames, messageType, methods } from '../../../src/etcd/wire/schema.ts'
import { etcdProto, protobufType } from '../../support/etcd-wire.ts'

const bareName = (name: string) => name.split('.').at(-1)

for (const name of messageNames) {
  test(`the message ${name} has etcd's names, numbers and types`, () => {
    const type = messageType(name)
    const theirs = protobufType(type).fieldsArray.map((field) => {
      field.resolve()
      const kind = field.resolvedType === null ? field.type : field.resolvedType.name
      return [field.name, field.id, kind, field.repeated, field.partOf !== null]
    })
    const ours = type.fields.map((field) => [
      field.name,
      field.number,
      nameOfKind(field),
      field.repeated,
      field.rivals.length > 0,
    ])
    assert.deepEqual(new Set(ours.map(String)), new Set(theirs.map(String)))
  })
}

function nameOfKind({ kind, type, values }: Field): string {
  if (type !== undefined) return type.name
  return values === undefined ? kind : (values.goName.split(/[._]/).at(-1) as string)
}

test('enumerations have as many values as those of etcd', () => {
  for (const { fields, name } of messageNames.map(messageType)) {
    for (const { name: fieldName, values } of fields) {
      if (values === undefined) continue
      const theirs = protobufType(messageType(name)).fieldsArray.find((field) => field.name === fieldName)
      const numbers = Object.entries(theirs?.resolvedType?.values ?? {}).sort(([, a], [, b]) => a - b)
      // The client for Node writes the names in small letters; etcd itself does not.
      const flat = (text: string) => text.replaceAll('_', '').toUpperCase()
      assert.deepEqual(
        values.names.map(flat),
        numbers.map(([text]) => flat(text)),
      )
    }
  }
})

test("methods have etcd's messages and stream as they do", () => {
  for (const { service, name, messages, requestStream, responseStream } of methods.values()) {
    const theirs = etcdProto.lookupService(`etcdserverpb.${service}`).methods[name]
    assert(theirs, `etcd has no ${service}/${name}`)
    if (messages === undefined) continue
    assert.equal(messages.request.name, bareName(theirs.requestType))
    assert.equal(messages.response.name, bareName(theirs.responseType))
    assert.deepEqual(
      [requestStream, responseStream],
      [theirs.requestStream === true, theirs.responseStream === true],
      name,
    )
  }
})

test('every method of etcd 3.4 is known by its name', () => {
  const later = ['Downgrade', 'AuthStatus']
  for (const service of ['KV', 'Watch', 'Lease', 'Cluster', 'Maintenance', 'Auth']) {
    for (const name of Object.keys(etcdProto.lookupService(`etcdserverpb.${service}`).methods)) {
      const known = methods.has(`/etcdserverpb.${service}/${name}`)
      assert.equal(known, !later.includes(name), `${service}/${name}`)
    }
  }
})
