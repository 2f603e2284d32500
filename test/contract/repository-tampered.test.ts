import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFile, chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import {
  BACKENDS,
  type BackendKind,
  gitBackend,
  PERSON,
  plantCommit,
  TIME_MS,
} from '../support/git-backends.ts'
import { blob, packFor, tree } from '../support/hostile-pack.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

async function node(t: TestContext, kind: BackendKind) {
  const place = await temporaryDirectory(t)
  const path = join(place, 'data.git')
  const open = async () => (await gitBackend(t, kind)).open(path)
  return { place, path, open, repository: await open() }
}

/** Everything that a repository is asked for in its life. */
async function live(t: TestContext, repository: PackRepository, tips: readonly string[]): Promise<void> {
  const directory = await temporaryDirectory(t)
  for (let i = 0; i < 20; i += 1) await writeFile(join(directory, `f${i}.csv`), `content\r\n${i}`)
  const [tip] = tips as [string]
  const made = await repository.writeTreeFromDirectory(directory)
  const next = await repository.writeCommit({
    tree: made,
    parents: [tip],
    message: 'x',
    author: PERSON,
    timeMs: TIME_MS,
  })
  await repository.moveBranch('b', next, undefined)
  const offer = packFor(tree(['100644', 'new', blob('new').oid]), [blob('new')])
  const quarantine = await repository.quarantine()
  const signal = AbortSignal.timeout(20_000)
  await quarantine.receive(
    (async function* () {
      yield offer.pack
    })(),
    signal,
  )
  await quarantine.admit([offer.want], signal)
  await quarantine.discard()
  let bytes = 0
  for await (const chunk of repository.packObjects([next], [], signal)) bytes += chunk.length
  assert.ok(bytes > 0)
  await repository.checkout(next, join(directory, 'out'))
  assert.equal(await readFile(join(directory, 'out/f3.csv'), 'utf8'), 'content\r\n3')
  await repository.collectGarbage({ pruneOlderThanMs: 3_600_000, keep: [offer.want] })
  assert.equal((await repository.listFiles(offer.want)).length, 1)
  assert.deepEqual((await repository.verify()).problems, [])
  await repository.deleteBranch('b', next)
}

for (const kind of BACKENDS) {
  suite(`a repository that somebody else has written in, with the ${kind} backend`, () => {
    test('neither its config nor its hooks make git do anything', async (t) => {
      const { place, path, open, repository } = await node(t, kind)
      const tip = await plantCommit(repository, [{ mode: '100644', name: 'a', content: 'a' }])
      const touch = `touch ${join(place, 'ran')}`
      const included = join(place, 'included')
      await writeFile(included, `[core]\n\tfsmonitor = ${touch}\n\talternateRefsCommand = ${touch}\n`)
      await appendFile(
        join(path, 'config'),
        [
          `[include]\n\tpath = ${included}`,
          `[core]\n\talternateRefsCommand = ${touch}\n\tfsmonitor = ${touch}\n\tsshCommand = ${touch}`,
          `\thooksPath = ${join(path, 'hooks')}\n\tpager = ${touch}\n\tworktree = ${place}\n\tautocrlf = true`,
          `[uploadpack]\n\tpackObjectsHook = ${touch}`,
          '[gc]\n\tauto = 1\n[fsck]\n\thasDotgit = ignore\n[receive "fsck"]\n\thasDotgit = ignore',
          '[extensions]\n\tpartialClone = evil\n[remote "evil"]\n\turl = /nowhere\n\tpromisor = true',
          '[protocol "ext"]\n\tallow = always\n[transfer]\n\thideRefs = refs/heads\n',
        ].join('\n'),
      )
      await mkdir(join(path, 'hooks'), { recursive: true })
      for (const name of ['reference-transaction', 'post-update', 'pre-auto-gc', 'post-checkout', 'update']) {
        await writeFile(join(path, 'hooks', name), `#!/bin/sh\n${touch}\n`)
        await chmod(join(path, 'hooks', name), 0o755)
      }
      await live(t, await open(), [tip])
      assert.deepEqual((await readdir(place)).sort(), ['.quarantine', 'data.git', 'included'])
      assert.doesNotMatch(await readFile(join(path, 'config'), 'utf8'), /evil|touch|include/)
    })

    test('a config that is a link leaves what lies behind it alone', async (t) => {
      const { place, path, open } = await node(t, kind)
      const precious = join(place, 'precious')
      await writeFile(precious, 'precious')
      execFileSync('rm', [join(path, 'config')])
      await symlink(precious, join(path, 'config'))
      await open()
      assert.equal(await readFile(precious, 'utf8'), 'precious')
      assert.match(await readFile(join(path, 'config'), 'utf8'), /bare = true/)
    })

    test('history is what the commits say, whatever was put over it', async (t) => {
      const { path, open, repository } = await node(t, kind)
      const first = await plantCommit(repository, [{ mode: '100644', name: 'a', content: '1' }])
      const second = await plantCommit(repository, [{ mode: '100644', name: 'a', content: '2' }], [first])
      const third = await plantCommit(repository, [{ mode: '100644', name: 'a', content: '3' }], [second])
      const forged = await plantCommit(repository, [{ mode: '100644', name: 'a', content: 'forged' }])
      await repository.moveBranch('a', third, undefined)
      await mkdir(join(path, 'refs/replace'), { recursive: true })
      await writeFile(join(path, 'refs/replace', third), `${forged}\n`)
      await writeFile(
        join(path, 'packed-refs'),
        `${forged} refs/replace/${second}\n${second} refs/heads/old\n`,
      )
      await writeFile(join(path, 'info/grafts'), `${third}\n`)
      await writeFile(join(path, 'shallow'), `${second}\n`)
      await writeFile(join(path, 'info/attributes'), '* text eol=crlf ident filter=evil export-subst\n')
      const again = await open()
      assert.deepEqual(
        (await again.log(third, 9)).map(({ oid }) => oid),
        [third, second, first],
      )
      assert.equal(await again.isAncestor(first, third), true)
      const [file] = await again.listFiles(third)
      assert.equal(Buffer.from(await again.readBlob(file?.oid as string)).toString(), '3')
      assert.deepEqual(
        [...(await again.branches())],
        [
          ['a', third],
          ['old', second],
        ],
      )
      await live(t, again, [third])
    })

    test('what lies in other repositories is not here', async (t) => {
      const { path, open } = await node(t, kind)
      const other = await node(t, kind)
      const foreign = await plantCommit(other.repository, [{ mode: '100644', name: 'a', content: 'secret' }])
      await mkdir(join(path, 'objects/info'), { recursive: true })
      await writeFile(join(path, 'objects/info/alternates'), `${join(other.path, 'objects')}\n`)
      const again = await open()
      assert.equal(await again.hasCommit(foreign), false)
      await assert.rejects(again.moveBranch('a', foreign, undefined))
    })

    test('a branch that leads elsewhere is none', async (t) => {
      const { place, path, open, repository } = await node(t, kind)
      const tip = await plantCommit(repository, [{ mode: '100644', name: 'a', content: '1' }])
      await repository.moveBranch('good', tip, undefined)
      const secret = join(place, 'secret')
      await writeFile(secret, `${tip}\n`)
      await symlink(secret, join(path, 'refs/heads/link'))
      await writeFile(join(path, 'refs/heads/symbolic'), 'ref: refs/heads/good\n')
      await writeFile(join(path, 'refs/heads/far'), 'ref: ../secret\n')
      await writeFile(join(path, 'refs/heads/torn'), '')
      await writeFile(join(path, 'HEAD'), 'ref: ../../secret\n')
      const again = await open()
      assert.deepEqual([...(await again.branches())], [['good', tip]])
      await again.moveBranch('symbolic', tip, undefined)
      assert.equal(await readFile(secret, 'utf8'), `${tip}\n`)
    })
  })
}

test('git hears nothing of the surroundings of the node', async (t) => {
  const elsewhere = await temporaryDirectory(t)
  const touch = `touch ${join(elsewhere, 'ran')}`
  const hostile: Readonly<Record<string, string>> = {
    GIT_DIR: join(elsewhere, 'other.git'),
    GIT_WORK_TREE: elsewhere,
    GIT_INDEX_FILE: join(elsewhere, 'index'),
    GIT_OBJECT_DIRECTORY: join(elsewhere, 'objects'),
    GIT_ALTERNATE_OBJECT_DIRECTORIES: join(elsewhere, 'more'),
    GIT_NAMESPACE: 'evil',
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'core.alternateRefsCommand',
    GIT_CONFIG_VALUE_0: touch,
    GIT_CONFIG_PARAMETERS: `'core.alternaterefscommand=${touch}'`,
    GIT_CONFIG_GLOBAL: join(elsewhere, 'config'),
    GIT_CONFIG_SYSTEM: join(elsewhere, 'config'),
    GIT_EXEC_PATH: elsewhere,
    GIT_TRACE: join(elsewhere, 'trace'),
    GIT_TRACE2_EVENT: join(elsewhere, 'trace2'),
    GIT_SSH_COMMAND: touch,
    GIT_EXTERNAL_DIFF: touch,
    GIT_ALLOW_PROTOCOL: 'ext',
    GIT_REPLACE_REF_BASE: 'refs/heads/',
    GIT_GRAFT_FILE: join(elsewhere, 'grafts'),
    GIT_SHALLOW_FILE: join(elsewhere, 'shallow'),
    GIT_QUARANTINE_PATH: elsewhere,
    GIT_AUTHOR_NAME: 'Eve',
    GIT_DEFAULT_HASH: 'sha256',
    LD_PRELOAD: '',
  }
  await writeFile(join(elsewhere, 'config'), `[core]\n\talternateRefsCommand = ${touch}\n`)
  const before = { ...process.env }
  Object.assign(process.env, hostile)
  t.after(() => {
    for (const name of Object.keys(hostile)) {
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
    }
  })
  const { repository } = await node(t, 'native')
  const tip = await plantCommit(repository, [{ mode: '100644', name: 'a', content: '1' }])
  await live(t, repository, [tip])
  assert.deepEqual(await readdir(elsewhere), ['config'])
})
