import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

const SCRIPT = 'docker/image/plain-registry.sh'

test("a password of the npm registry's address does not come into the image's history", () => {
  for (const [address, plain] of [
    ['https://registry.npmjs.org/', 'https://registry.npmjs.org/'],
    ['https://ann:se:c@ret@npm.example.org:8443/npm/@scope/', 'https://npm.example.org:8443/npm/@scope/'],
    ['http://token@localhost:4873', 'http://localhost:4873'],
    ['https://npm.example.org/npm?key=secret#x', 'https://npm.example.org/npm'],
  ] as const) {
    assert.equal(execFileSync('sh', [SCRIPT, address], { encoding: 'utf8' }), `${plain}\n`)
  }
  const [, argument] =
    /--build-arg "NPM_CONFIG_REGISTRY=([^\n]*)"/.exec(readFileSync('docker/build.sh', 'utf8')) ?? []
  assert.equal(argument, '$registry')
  assert.match(
    readFileSync('docker/build.sh', 'utf8'),
    /registry=\$\(sh .*plain-registry\.sh" "\$\(npm config get registry/,
  )
})
