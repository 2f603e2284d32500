import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { withDeadline } from '../../src/base/wait.ts'
import { eventually } from '../support/eventually.ts'
import { BACKENDS, type BackendKind } from '../support/git-backends.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { openUpkeepRoom } from '../support/upkeep-room.ts'

const PROCESS = join(import.meta.dirname, '../support/upkeep-process.ts')
const KILLS = { native: 3, isomorphic: 2 }
const LONGEST_MS = 500
const run = promisify(execFile)

/** Kills a process that writes, in the middle of whatever it is at. */
async function killAmid(directory: string, kind: BackendKind, afterMs: number): Promise<void> {
  const child = spawn(process.execPath, [PROCESS, directory, kind], { stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = once(child, 'exit')
  try {
    const lines = createInterface({ input: child.stdout })
    await withDeadline(once(lines, 'line'), 30_000, 'The start of the process')
    await sleep(afterMs)
    assert.equal(child.exitCode, null, 'it ended by itself')
  } finally {
    child.kill('SIGKILL')
    await gone
  }
  // What it had started ends by itself, a moment later.
  await eventually(async () => {
    const found = await run('pgrep', ['-f', '--', directory]).catch(() => ({ stdout: '' }))
    return found.stdout.trim() === ''
  }, 'a git outlives its node')
}

async function namesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries.map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
}

const HALF_MADE = /(?:^|\/)(?:\.quarantine|tmp_|\.tmp-)|\.lock$/

async function look(t: TestContext, directory: string, kind: BackendKind): Promise<number> {
  const before = await namesBelow(join(directory, 'datasets'))
  const room = await openUpkeepRoom(directory, kind)
  try {
    const names = await namesBelow(join(directory, 'datasets'))
    assert.deepEqual(
      names.filter((name) => HALF_MADE.test(name)),
      [],
    )
    assert.deepEqual(await readdir(join(directory, 'checkouts')), [])
    const packs = await readdir(join(room.air.path, 'objects/pack'))
    for (const name of packs) {
      const idx = name.replace(/\..*$/, '.idx')
      assert(packs.includes(idx), `${name} has no index`)
    }
    assert.deepEqual((await room.air.verify()).problems, [])
    for (const [branch, oid] of await room.air.branches()) {
      const checkout = await room.checkouts.use('air', oid)
      assert((await readdir(checkout.path)).length > 0, `${branch} is empty`)
      checkout.release()
    }
    const { stderr } = await run('git', [`--git-dir=${room.air.path}`, 'fsck', '--full', '--strict'])
    assert.equal(stderr.replace(/^(?:notice|dangling|Checking).*\n?/gm, ''), '')
  } finally {
    await room.close()
  }
  const rests = before.filter((name) => HALF_MADE.test(name)).length
  t.diagnostic(`${rests} half-made files and directories were found`)
  return rests
}

for (const kind of BACKENDS) {
  test(`killed in the middle of anything, the next start has cleared the rests and all is whole (${kind})`, async (t) => {
    const seed = Number(process.env.SEED ?? Date.now() % 100_000)
    t.diagnostic(`SEED=${seed}`)
    const directory = await temporaryDirectory(t)
    await mkdir(join(directory, 'datasets'))
    let state = seed
    const random = () => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31
      return state / 2 ** 31
    }
    for (let n = 0; n < KILLS[kind]; n += 1) {
      const afterMs = Math.round(random() * LONGEST_MS)
      await killAmid(directory, kind, afterMs)
      await look(t, directory, kind)
    }
  })
}
