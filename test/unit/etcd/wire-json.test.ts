import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { etcdJsonDepthMax } from '../../../src/base/limits.ts'
import { encode } from '../../../src/etcd/wire/codec.ts'
import { fromJson, goString, toJson } from '../../../src/etcd/wire/json.ts'
import { JsonSplitter } from '../../../src/etcd/wire/json-splitter.ts'
import { firstJsonValue, JsonError, onlyJsonValue } from '../../../src/etcd/wire/json-text.ts'
import { messageNames, messageType } from '../../../src/etcd/wire/schema.ts'
import { anyMessage } from '../../support/etcd-wire.ts'

const RUNS = { numRuns: 40 }
const range = messageType('RangeRequest')

const read = (text: string, type = range) => fromJson(type, firstJsonValue(text) ?? null)

for (const name of messageNames) {
  const type = messageType(name)
  test(`${name} is read from the JSON that it was written as`, () => {
    const property = fc.property(anyMessage(type), (message) => {
      const text = toJson(type, message)
      JSON.parse(text)
      assert.deepEqual(read(text, type), message)
      assert.equal(toJson(type, { encoded: encode(type, message) }), text)
    })
    fc.assert(property, RUNS)
  })
}

test('what any JSON says is a message or is refused in words', () => {
  const property = fc.property(fc.constantFrom(...messageNames), fc.jsonValue(), (name, value) => {
    try {
      read(JSON.stringify(value), messageType(name))
    } catch (error) {
      assert(error instanceof JsonError, String(error))
    }
  })
  fc.assert(property, { numRuns: 500 })
})

test('any text is JSON exactly if it is for the platform', () => {
  const texts = fc.oneof(
    fc.json(),
    fc.string({ unit: fc.constantFrom(...'{}[]",:0123456789-+.eEtruefalsn\\u \n') }),
    fc.tuple(fc.json(), fc.nat(), fc.string({ maxLength: 2 })).map(([text, at, put]) => {
      const place = at % (text.length + 1)
      return text.slice(0, place) + put + text.slice(place + 1)
    }),
  )
  const property = fc.property(texts, (text) => {
    let theirs = true
    try {
      JSON.parse(text)
    } catch {
      theirs = false
    }
    let ours = true
    try {
      onlyJsonValue(text)
    } catch (error) {
      assert(error instanceof JsonError, String(error))
      ours = false
    }
    assert.equal(ours, theirs, JSON.stringify(text))
  })
  fc.assert(property, { numRuns: 2_000 })
})

test('names may be in camel case, enumerations numbers, numbers text, bytes numbers', () => {
  const message = read('{"key":[98,97],"sortOrder":"DESCEND","sort_target":3,"limit":"5","minModRevision":7}')
  const { key, sort_order, sort_target, limit, min_mod_revision } = message
  assert.deepEqual(
    { key, sort_order, sort_target, limit, min_mod_revision },
    { key: Buffer.from('ba'), sort_order: 2, sort_target: 3, limit: 5n, min_mod_revision: 7n },
  )
})

test('64-bit numbers keep all their digits, and fields of newer clients are passed over', () => {
  assert.equal(
    read('{"limit":9223372036854775807,"nope":{"a":[1]},"__proto__":{"x":1}}').limit,
    2n ** 63n - 1n,
  )
  assert.equal(read('{"limit":"-9223372036854775808"}').limit, -(2n ** 63n))
})

test('one of a union', () => {
  const text = '{"request_range":{"key":"Zm9v"},"request_put":{"key":"Zm9v"}}'
  const { request_range, request_put } = read(text, messageType('RequestOp'))
  assert.equal(request_range, undefined)
  assert.deepEqual((request_put as { key: Buffer }).key, Buffer.from('foo'))
})

test('what nests too deep is refused', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  firstJsonValue(nested(etcdJsonDepthMax))
  assert.throws(() => firstJsonValue(nested(etcdJsonDepthMax + 2)), JsonError)
  assert.throws(() => firstJsonValue('['.repeat(1_000_000)), JsonError)
})

test('strings are written so that a page may hold them', () => {
  assert.equal(goString('<a & "b">\u2028'), '"\\u003ca \\u0026 \\"b\\"\\u003e\\u2028"')
})

test('objects in a row are cut apart wherever the pieces end', () => {
  const texts = ['{"a":"}{\\"["}', '{"b":[{},{"c":1}]}', '{}']
  const property = fc.property(fc.array(fc.integer({ min: 1, max: 9 })), (sizes) => {
    const splitter = new JsonSplitter()
    const bytes = Buffer.from(` ${texts.join(' \n')} `)
    const found: string[] = []
    for (let at = 0, turn = 0; at < bytes.length; turn++) {
      const size = sizes[turn % sizes.length] ?? 1
      splitter.push(bytes.subarray(at, at + size))
      at += size
      for (let text = splitter.next(); text !== undefined; text = splitter.next()) found.push(text.trim())
    }
    assert.deepEqual(found, texts)
    assert.equal(splitter.rest(), undefined)
  })
  fc.assert(property)
})
