import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { gitProcessesMax } from '../../../src/base/limits.ts'
import { durability, GitProgram } from '../../../src/datasets/git/git-program.ts'

test('every git that is used is told to make objects durable, in the words of its version', () => {
  const older = 'core.fsyncObjectFiles=true'
  for (const version of [
    [2, 30],
    [2, 35],
  ] as const) {
    assert.equal(durability(version), older, version.join('.'))
  }
  for (const version of [
    [2, 36],
    [2, 39],
    [3, 0],
  ] as const) {
    assert.match(durability(version), /^core\.fsync=.*loose-object/, version.join('.'))
  }
})

test('the git that is found takes its settings without complaint', async (t) => {
  const git = await GitProgram.find()
  assert.ok(git !== undefined, 'this test needs the git program')
  t.after(() => git.stop())
  const child = git.spawn(['config', '--get-regexp', '^core\\.fsync'])
  child.stdin.end()
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString()
  })
  assert.deepEqual(await child.ended, { code: 0, stderr: '' })
  assert.match(said, /^core\.fsync(objectfiles true| .*loose-object)/m)
})

test('short processes of git wait for each other beyond a bound, and all have their turn', async (t) => {
  const git = await GitProgram.find()
  assert.ok(git !== undefined, 'this test needs the git program')
  t.after(() => git.stop())
  let [now, most] = [0, 0]
  const one = () =>
    git.read(['version'], {}, async (stdout) => {
      now += 1
      most = Math.max(most, now)
      for await (const _ of stdout) await turn()
      await turn()
      now -= 1
    })
  await Promise.all(Array.from({ length: 3 * gitProcessesMax }, one))
  assert.equal(now, 0)
  assert.ok(most > 1 && most <= gitProcessesMax, `${most} at once`)
})
