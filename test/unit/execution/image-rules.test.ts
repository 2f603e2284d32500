import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNodeError } from '../../../src/base/errors.ts'
import { normalReference } from '../../../src/execution/images/image-reference.ts'
import { imageForbidden, parseImageRule, verdictOf } from '../../../src/execution/images/image-rules.ts'

const A = `sha256:${'a'.repeat(64)}`
const B = `sha256:${'b'.repeat(64)}`

function verdict(rules: readonly string[], reference: string, digests: readonly string[] = []) {
  return verdictOf(rules.map(parseImageRule), { reference, digests })
}

test('a reference means all that Docker adds to it', () => {
  const whole = (reference: string) => {
    const { repository, tag = '', digest = '' } = normalReference(reference)
    return `${repository}:${tag}@${digest}`
  }
  assert.equal(whole('busybox'), 'docker.io/library/busybox:latest@')
  assert.equal(whole('docker.io/busybox:1'), 'docker.io/library/busybox:1@')
  assert.equal(whole('index.docker.io/lab/x'), 'docker.io/lab/x:latest@')
  assert.equal(whole('lab/x:1'), 'docker.io/lab/x:1@')
  assert.equal(whole('localhost/x'), 'localhost/x:latest@')
  assert.equal(whole('host:5000/x'), 'host:5000/x:latest@')
  assert.equal(whole(`r.example.org/a/b/c:1@${A}`), `r.example.org/a/b/c:1@${A}`)
  assert.equal(whole(`x@${A}`), `docker.io/library/x:@${A}`)
  assert.equal(whole(A), `:@${A}`)
})

test('without rules everything runs, and with rules only what one of them names', () => {
  assert.equal(verdict([], 'anything'), 'yes')
  assert.equal(verdict(['busybox'], 'docker.io/library/busybox:1'), 'yes')
  assert.equal(verdict(['docker.io/library/*'], 'busybox'), 'yes')
  assert.equal(verdict(['docker.io/library/*'], 'lab/busybox'), 'no')
  assert.equal(verdict(['lab/*'], 'lab/x'), 'yes')
  assert.equal(verdict(['lab/*'], 'evil.example.org/lab/x'), 'no')
  assert.equal(verdict(['registry.example.org/lab/*'], 'registry.example.org/lab/x:2'), 'yes')
  assert.equal(verdict(['registry.example.org/lab/*'], 'registry.example.org/lab/deeper/x'), 'no')
  assert.equal(verdict(['registry.example.org/lab/**'], 'registry.example.org/lab/deeper/x'), 'yes')
  assert.equal(verdict(['registry.example.org/lab/*'], 'registryXexample.org/lab/x'), 'no')
  assert.equal(verdict(['host:5000/lab/*'], 'host:5000/lab/x'), 'yes')
  assert.equal(verdict(['**/x'], 'r.example.org/lab/x'), 'yes')
  assert.equal(verdict(['busybox', 'lab/*'], 'lab/x'), 'yes')
  assert.equal(verdict(['*'], 'r.example.org/a/b'), 'yes')
})

test('a rule may name tags', () => {
  assert.equal(verdict(['lab/x:1.*'], 'lab/x:1.2'), 'yes')
  assert.equal(verdict(['lab/x:1.*'], 'lab/x:2.1'), 'no')
  assert.equal(verdict(['lab/x:latest'], 'lab/x'), 'yes')
  assert.equal(verdict(['lab/x:1'], `lab/x@${A}`), 'no')
  assert.equal(verdict(['*:stable'], 'r.example.org/a/b:stable'), 'yes')
})

test('a rule that names a digest needs that digest, whatever the name', () => {
  assert.equal(verdict([`*@${A}`], `lab/x@${A}`), 'yes')
  assert.equal(verdict([`*@${A}`], `lab/x@${B}`), 'no')
  assert.equal(verdict([`*@${A}`], 'lab/x'), 'by-digest')
  assert.equal(verdict([`*@${A}`], 'lab/x', [`lab/x@${A}`]), 'yes')
  assert.equal(verdict([`*@${A}`], 'lab/x', [`lab/x@${B}`, B]), 'no')
  assert.equal(verdict([`lab/*@${A}`], 'other/x', [A]), 'no')
  assert.equal(verdict([`lab/*@${A}`], 'other/x'), 'no')
})

test('the id of an image has no name that a rule could let in', () => {
  assert.equal(verdict(['*'], A), 'no')
  assert.equal(verdict(['docker.io/library/*', '**'], A), 'no')
  assert.equal(verdict([`*@${A}`], A), 'yes')
})

test('an id is let in by the names that its image has on this machine', () => {
  const named = (rules: readonly string[], ...tags: string[]) =>
    verdictOf(rules.map(parseImageRule), { reference: A, digests: [A], tags })
  assert.equal(named(['lab/*'], 'other:1', 'lab/x:1'), 'yes')
  assert.equal(named(['lab/*'], 'other:1'), 'no')
  assert.equal(named([`lab/*@${B}`], 'lab/x:1'), 'no')
})

test('what stands for itself in a rule is no pattern', () => {
  assert.equal(verdict(['r.example.org/a.b'], 'r.example.org/aXb'), 'no')
  assert.equal(verdict(['r.example.org/a'], 'r.example.org/ab'), 'no')
})

test('what is no rule is refused with how one is written', () => {
  for (const text of ['', '@', `@${A}`, 'lab/x@sha256:abc', '(x', 'a b', 'lab/x:']) {
    assert.throws(
      () => parseImageRule(text),
      (error) => isNodeError(error, 'INVALID_CONFIG'),
      text,
    )
  }
})

test('a refusal names the image as Docker would look for it, and what is allowed', () => {
  const refusal = imageForbidden('busybox', ['lab/*'].map(parseImageRule))
  assert.equal(refusal.code, 'IMAGE_FORBIDDEN')
  assert.match(refusal.message, /docker\.io\/library\/busybox:latest.*lab\/\*/)
})
