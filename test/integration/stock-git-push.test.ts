import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { request } from 'node:http'
import { dirname, join } from 'node:path'
import { suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { withDeadline } from '../../src/base/wait.ts'
import { NO_COMMIT } from '../../src/datasets/git/git-directory.ts'
import { FLUSH, packet } from '../../src/datasets/git/pkt-line.ts'
import { askRaw } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { BACKENDS } from '../support/git-backends.ts'
import { bytesKept } from '../support/memory.ts'
import { type GitApi, git, outcomeOf, startGitApi, type Worktree, worktree } from '../support/stock-git.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const WAY_OUT = 'push to <step>-alice, for example: git push origin HEAD:'

/** Branch to commit, of what the node holds and has announced. */
async function announced({ shown }: GitApi): Promise<Record<string, string>> {
  const { branches } = await shown()
  assert.ok(
    branches.every((branch) => branch.announced && branch.present),
    'a branch was moved and not announced',
  )
  return Object.fromEntries(branches.map(({ branch, commit }) => [branch, commit]))
}

/** What is left of pushes that did not come through. */
async function leftOver({ node }: GitApi): Promise<string[]> {
  const { path } = await node.federation.datasets.repository('data')
  const quarantined = await readdir(join(dirname(path), '.quarantine')).catch(() => [])
  const packs = await readdir(join(path, 'objects', 'pack'))
  return [...quarantined, ...packs]
}

/** A push as it goes over the wire. */
function pushBody(
  work: Worktree,
  commit: string,
  ref: string,
  capabilities: string,
  from = NO_COMMIT,
): Buffer {
  const pack = execFileSync('git', ['-C', work.path, 'pack-objects', '--quiet', '--revs', '--stdout'], {
    input: from === NO_COMMIT ? commit : `${commit}\n^${from}\n`,
  })
  return Buffer.concat([packet(`${from} ${commit} ${ref}\0${capabilities}`), FLUSH, pack])
}

function ask({ url, token }: GitApi, body: Buffer | string, headers: Record<string, string> = {}) {
  const at = `${url}/git/data.git/git-receive-pack`
  const all = { authorization: `Bearer ${token}`, ...headers }
  return askRaw(at, { method: 'POST', headers: all, body })
}

for (const backend of BACKENDS) {
  suite(`pushes to the ${backend} backend`, () => {
    test('own branches move, and are announced; nobody else’s do', async (t) => {
      const api = await startGitApi(t, backend)
      const work = await worktree(t, api.address('data'))
      const first = await work.run('rev-parse', 'HEAD')
      await work.run('push', 'origin', 'HEAD:main-alice')
      assert.deepEqual(await announced(api), { 'main-alice': first })

      const second = await work.commit('second', '2\n')
      const refs = ['main-alice', 'other-alice', 'main', 'ground-truth', 'refs/tags/v1', 'x-bob', 'A/B-alice']
      const said = await work.try('push', 'origin', ...refs.map((ref) => `HEAD:${ref}`))
      assert.equal(said.exit, 1)
      const refused = (ref: string) => outcomeOf(said, ref).replace(/ +/g, ' ')
      assert.equal(
        refused('main '),
        `! [remote rejected] HEAD -> main (the branch main is not yours: ${WAY_OUT}main-alice)`,
      )
      assert.match(refused('ground-truth'), /moves only when the members agree: .*HEAD:main-alice\)$/)
      assert.match(refused('v1'), /a dataset holds branches alone/)
      assert.match(refused('x-bob'), /the branch x-bob is not yours: .*HEAD:x-bob-alice\)$/)
      assert.match(refused('A/B-alice'), /the step "A\/B" is no name .*HEAD:a-b-alice\)$/)
      // What may move has moved all the same.
      assert.deepEqual(await announced(api), { 'main-alice': second, 'other-alice': second })

      assert.match((await work.try('push', 'origin', 'HEAD:main-alice')).stderr, /Everything up-to-date/)
      // There is nothing to send for it, only a name to give.
      await work.run('push', 'origin', `${first}:refs/heads/old-alice`)
      assert.equal((await announced(api))['old-alice'], first)
      const gone = await work.try('push', 'origin', ':main-alice')
      assert.match(gone.stderr, /main-alice \(branches stay, .*"maoctl dataset reset"/)
      const mirrored = await work.try('push', '--mirror', 'origin')
      assert.match(mirrored.stderr, /rejected\] main -> main \(the branch main is not yours/)
      assert.deepEqual(await announced(api), {
        'main-alice': second,
        'old-alice': first,
        'other-alice': second,
      })
    })

    test('a branch is not put elsewhere by force, and an atomic push is all or nothing', async (t) => {
      const api = await startGitApi(t, backend)
      const work = await worktree(t, api.address('data'))
      const commit = await work.commit('second', '2\n')
      await work.run('push', 'origin', 'HEAD:main-alice')
      await work.run('commit', '--quiet', '--amend', '-m', 'rewritten')
      assert.match((await work.try('push', 'origin', 'HEAD:main-alice')).stderr, /non-fast-forward/)
      const forced = await work.try('push', 'origin', '+HEAD:main-alice', 'HEAD:good-alice')
      const rewritten = await work.run('rev-parse', 'HEAD')
      const reset = `maoctl dataset reset data --step main --to ${rewritten} --reason`
      assert.match(outcomeOf(forced, 'main-alice'), new RegExp(`only moves forward: .*${reset}`))
      assert.deepEqual(await announced(api), { 'good-alice': rewritten, 'main-alice': commit })

      for (const other of ['x-bob', '+HEAD:main-alice']) {
        const ref = other.startsWith('+') ? other : `HEAD:${other}`
        const said = await work.try('push', '--atomic', 'origin', ref, 'HEAD:fine-alice')
        assert.match(outcomeOf(said, 'fine-alice'), /nothing of this push moves, since another/)
      }
      await work.run('push', '--atomic', 'origin', 'HEAD:one-alice', 'HEAD:two-alice')
      assert.deepEqual(Object.keys(await announced(api)), [
        'good-alice',
        'main-alice',
        'one-alice',
        'two-alice',
      ])

      // The way out leads somewhere: what was pushed by force is here, and only has to be told.
      await work.run('commit', '--quiet', '--amend', '-m', 'rewritten again')
      assert.equal((await work.try('push', '--force', 'origin', 'HEAD:main-alice')).exit, 1)
      const to = await work.run('rev-parse', 'HEAD')
      await api.node.federation.datasets.reset({ dataset: 'data', step: 'main', to, reason: 'a mistake' })
      assert.equal((await announced(api))['main-alice'], to)
      assert.match((await work.try('push', 'origin', 'HEAD:main-alice')).stderr, /Everything up-to-date/)
    })

    test('what a peer could not send cannot be pushed either, and leaves nothing', async (t) => {
      const api = await startGitApi(t, backend)
      const work = await worktree(t, api.address('data'))
      const before = await leftOver(api)
      const oid = await work.run('rev-parse', 'HEAD:first')
      await work.run('update-index', '--add', '--cacheinfo', `100644,${oid},aux.txt`)
      await work.run('commit', '--quiet', '-m', 'a device')
      const said = await work.try('push', 'origin', 'HEAD:main-alice')
      assert.match(said.stderr, /remote unpack failed: The path "aux.txt" names a device/)
      assert.match(outcomeOf(said, 'main-alice'), /names a device/)

      const commit = await work.run('rev-parse', 'HEAD~1')
      const whole = pushBody(work, commit, 'refs/heads/main-alice', 'report-status')
      const flipped = Buffer.from(whole)
      flipped[flipped.length - 25] = (flipped[flipped.length - 25] as number) ^ 1
      assert.match((await ask(api, flipped)).body, /unpack .*ng refs\/heads\/main-alice /s)
      assert.match((await ask(api, Buffer.concat([whole, Buffer.from('more')]))).body, /unpack (?!ok)/)
      assert.deepEqual([await announced(api), await leftOver(api)], [{}, before])
      // The same whole, zipped, without side bands.
      const zipped = await ask(api, gzipSync(whole), { 'content-encoding': 'gzip' })
      assert.equal(zipped.body, '000eunpack ok\n001dok refs/heads/main-alice\n0000')
      assert.deepEqual(await announced(api), { 'main-alice': commit })
    })

    test('a push that is cut leaves nothing, and of two at once one wins', async (t) => {
      const api = await startGitApi(t, backend)
      const work = await worktree(t, api.address('data'))
      let before = await leftOver(api)
      const commit = await work.commit('big', randomBytes(300_000))
      const bodyFor = (branch: string) => {
        return pushBody(work, commit, `refs/heads/${branch}`, 'report-status side-band-64k')
      }
      const sendHalf = async (body: Buffer) => {
        const { hostname, port } = new URL(api.url)
        const headers = { authorization: `Bearer ${api.token}` }
        const path = '/git/data.git/git-receive-pack'
        const sending = request({ hostname, port, path, method: 'POST', headers })
        sending.on('error', () => undefined)
        sending.write(body.subarray(0, 200_000))
        await eventually(async () => (await leftOver(api)).length > before.length, 'the push never arrived')
        return sending
      }
      const sending = await sendHalf(bodyFor('main-alice'))
      sending.destroy()
      await eventually(
        async () => (await leftOver(api)).length === before.length,
        'a push that was cut left something behind',
      )
      assert.deepEqual(await announced(api), {})

      const left = await work.commit('left', '1\n')
      await work.run('checkout', '--quiet', '-b', 'right', 'HEAD~1')
      const right = await work.commit('right', '2\n')
      const said = await Promise.all(
        [left, right].map((oid) => work.try('push', 'origin', `${oid}:refs/heads/main-alice`)),
      )
      assert.deepEqual(said.map(({ exit }) => exit).sort(), [0, 1])
      const loser = said.find(({ exit }) => exit === 1)
      assert.match(
        loser?.stderr ?? '',
        /main-alice \(the branch main-alice has moved .*fetch, then push again\)/,
      )
      const winner = said[0]?.exit === 0 ? left : right
      assert.deepEqual(await announced(api), { 'main-alice': winner })

      before = await leftOver(api)
      await sendHalf(bodyFor('late-alice'))
      await withDeadline(api.api.stop(), 10_000, 'The end of the API beside a push that does not go on')
      await eventually(
        async () => (await leftOver(api)).length === before.length,
        'a push that the end of the API cut left something behind',
      )
    })
  })
}

test('a push that does not fit is told why', async (t) => {
  const api = await startGitApi(t, 'native', { datasets: { quotaBytes: 200_000 } })
  const work = await worktree(t, api.address('data'))
  await work.commit('big', randomBytes(400_000))
  const said = await work.try('push', 'origin', 'HEAD:main-alice')
  assert.match(said.stderr, /remote unpack failed: .*quota/i)
  assert.deepEqual(await announced(api), {})
})

test('large pushes and clones go out in pieces or in one, and are not kept in memory', async (t) => {
  const api = await startGitApi(t, 'native')
  const work = await worktree(t, api.address('data'))
  // What is random does not shrink, however long git tries.
  await work.run('config', 'core.compression', '0')
  await work.commit('big', randomBytes(48_000_000))
  const before = bytesKept()
  const held: number[] = []
  const look = setInterval(() => held.push(bytesKept() - before), 400)
  t.after(() => clearInterval(look))
  // Beyond http.postBuffer git sends "0000" to try the way, and then the push in chunks.
  const said = await work.try('push', '--progress', 'origin', 'HEAD:chunked-alice')
  assert.match(said.stderr, /remote: Checking 6 objects/)
  assert.match(said.stderr, /remote: chunked-alice is announced at [0-9a-f]{12}/)
  const into = join(await temporaryDirectory(t), 'clone')
  await git(['clone', '--quiet', '-b', 'chunked-alice', api.address('data'), into])
  clearInterval(look)
  // Single looks also see what is let go of in that moment.
  const median = held.sort((a, b) => a - b)[Math.floor(held.length / 2)] ?? Number.POSITIVE_INFINITY
  assert.ok(median < 12_000_000, `${median} bytes were held during a push and a clone of 48 MB`)
  await work.commit('small', randomBytes(2_000_000))
  await work.run('-c', 'http.postBuffer=100000000', 'push', 'origin', 'HEAD:whole-alice')
  await work.run('-c', 'http.postBuffer=65536', 'push', 'origin', 'HEAD:pieces-alice')
  const branches = await announced(api)
  assert.deepEqual(Object.keys(branches), ['chunked-alice', 'pieces-alice', 'whole-alice'])
  // A push that is refused is heard to its end, so that the reason arrives.
  await work.commit('more', randomBytes(8_000_000))
  assert.match((await work.try('push', 'origin', 'HEAD:main')).stderr, /the branch main is not yours/)
})
