import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Demultiplexer } from '../../../src/execution/engines/demultiplexer.ts'
import { digestAmong, repositoryOf, withTag } from '../../../src/execution/images/image-reference.ts'

test('a reference without a tag means latest', () => {
  assert.equal(withTag('busybox'), 'busybox:latest')
  assert.equal(withTag('host:5000/a/b'), 'host:5000/a/b:latest')
  assert.equal(withTag('host:5000/a/b:1'), 'host:5000/a/b:1')
  assert.equal(withTag('a@sha256:00'), 'a@sha256:00')
})

test('of several registries, the digest of the one that was named counts', () => {
  assert.equal(repositoryOf('host:5000/a/b:1@sha256:00'), 'host:5000/a/b')
  const digests = ['z/a@sha256:11', 'b/a@sha256:22']
  assert.equal(digestAmong(digests, 'z/a:1'), 'z/a@sha256:11')
  assert.equal(digestAmong(digests, 'local:1'), 'b/a@sha256:22')
  assert.equal(digestAmong([], 'local:1'), undefined)
})

test('framed output comes out whole however it is cut', () => {
  const pieces = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.string({ maxLength: 40 })), { maxLength: 12 })
  fc.assert(
    fc.property(pieces, fc.integer({ min: 1, max: 17 }), (frames, cut) => {
      const wire = Buffer.concat(
        frames.map(([stream, text]) => {
          const payload = Buffer.from(text)
          const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0])
          header.writeUInt32BE(payload.length, 4)
          return Buffer.concat([header, payload])
        }),
      )
      const demultiplexer = new Demultiplexer()
      const heard = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] }
      for (let at = 0; at < wire.length; at += cut) {
        for (const { stream, bytes } of demultiplexer.push(wire.subarray(at, at + cut)))
          heard[stream].push(bytes)
      }
      const said = (wanted: number) =>
        frames.map(([stream, text]) => (stream === wanted ? text : '')).join('')
      assert.equal(Buffer.concat(heard.stdout).toString(), said(1))
      assert.equal(Buffer.concat(heard.stderr).toString(), said(2))
    }),
  )
})
