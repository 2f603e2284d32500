/**
 * Results into a Renku project behind git's own server program. Renku's command line is in no registry that a test may
 * reach, so a program of the test stands in its place and does what `renku update` does: it makes anew what depends on
 * the inputs, and commits it. Everything else is as people run it.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { isNodeError } from '../../src/base/errors.ts'
import { SshAccess } from '../../src/datasets/upstream/ssh-access.ts'
import { UpstreamCalls } from '../../src/datasets/upstream/upstream-calls.ts'
import type { Outgoing, OutgoingFile } from '../../src/execution/publishing/destination.ts'
import { RenkuDestination } from '../../src/execution/publishing/renku/renku-destination.ts'
import { publisherSchema, type RenkuSettings } from '../../src/execution/publishing/settings.ts'
import { startGitHttpServer } from '../support/git-http-server.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const run = promisify(execFile)
const GIT = ['-c', 'user.name=pi', '-c', 'user.email=pi@lab.example', '-c', 'init.defaultBranch=main']

/** Sums up the inputs, as a workflow of a project would. */
const UPDATE = `#!/bin/sh
set -e
test "$1 $2" = 'update --all'
test -z "$SECRET_OF_THE_NODE"
mkdir -p data/output
cat data/input/*.csv | sha256sum > data/output/sum
git add data/output
git commit --quiet --message 'renku: updated'
`

async function story(t: TestContext, program = UPDATE) {
  const root = await temporaryDirectory(t)
  const git = (...args: string[]) => run('git', [...GIT, ...args], { cwd: root })
  await git('init', '--quiet', '--bare', 'project.git')
  await git('clone', '--quiet', 'project.git', 'theirs')
  const theirs = (...args: string[]) => run('git', [...GIT, '-C', join(root, 'theirs'), ...args])
  await mkdir(join(root, 'theirs/.renku'))
  await writeFile(join(root, 'theirs/.renku/metadata'), 'a project')
  await theirs('add', '.')
  await theirs('commit', '--quiet', '--message', 'begun')
  await theirs('push', '--quiet', 'origin', 'HEAD:main')
  const server = await startGitHttpServer(t, { root, tls: false })
  const renku = join(root, 'renku')
  await writeFile(renku, program)
  await chmod(renku, 0o755)
  const calls = new UpstreamCalls({
    backend: 'native',
    ssh: new SshAccess(join(root, 'ssh')),
    https: { credentialsFile: '', caFile: '' },
    allowHttp: false,
  })
  const destination = (more: Partial<RenkuSettings> = {}) => {
    const repository = `${server.url}/project.git`
    const settings = publisherSchema.parse({ kind: 'renku', repository, program: renku, ...more })
    return new RenkuDestination({
      settings: settings as RenkuSettings,
      upstreams: { callTo: (url: string) => calls.callTo(url) },
      directory: join(root, 'staging'),
      self: () => ({ peer: 'peer-a', name: 'alice' }),
    })
  }
  const bare = async (...args: string[]) => {
    const { stdout } = await run('git', ['--git-dir', join(root, 'project.git'), ...args])
    return stdout.trim()
  }
  return { root, destination, bare, theirs }
}

function outgoing(texts: Record<string, string>): Outgoing {
  const files = Object.entries(texts).map(([path, text]): OutgoingFile => {
    return { path, bytes: text.length, sha256: '', open: () => Readable.from([Buffer.from(text)]) }
  })
  const manifest: OutgoingFile = {
    path: 'manifest.json',
    bytes: 0,
    sha256: '',
    open: () => Readable.from([]),
  }
  return {
    name: 'r1/collect',
    files,
    manifest,
    signal: AbortSignal.timeout(30_000),
    note: async () => undefined,
  }
}

test('results come into data/input, renku brings up to date what depends on them, and both are pushed', async (t) => {
  process.env.SECRET_OF_THE_NODE = 'hush'
  t.after(() => delete process.env.SECRET_OF_THE_NODE)
  const { destination, bare } = await story(t)
  const placed = await destination().publish(outgoing({ 'control-1.csv': '1\n', 'deep/a.csv': '2\n' }))
  assert.equal(placed.place, 'data/input')
  assert.deepEqual((await bare('log', '--format=%an %s', 'main')).split('\n'), [
    'alice renku: updated',
    'alice Results of r1/collect',
    'pi begun',
  ])
  assert.equal(await bare('show', 'main:data/input/deep/a.csv'), '2')
  const first = await bare('show', 'main:data/output/sum')

  await destination().publish(outgoing({ 'control-2.csv': '2\n' }))
  assert.equal(await bare('show', 'main:data/input/control-1.csv'), '1')
  assert.notEqual(await bare('show', 'main:data/output/sum'), first)

  // The same once more changes nothing, and asks nobody to compute.
  const head = await bare('rev-parse', 'main')
  await destination().publish(outgoing({ 'control-2.csv': '2\n' }))
  assert.equal(await bare('rev-parse', 'main'), head)
})

test('where renku fails, the results are pushed, and its own words say what is wrong', async (t) => {
  const { destination, bare } = await story(t, '#!/bin/sh\necho "workflow step 3 is stale" >&2; exit 1\n')
  await assert.rejects(
    destination().publish(outgoing({ 'a.csv': '1' })),
    (error) =>
      isNodeError(error, 'PUBLISH_FAILED') && /exit code 1: workflow step 3 is stale/.test(error.message),
  )
  assert.equal(await bare('show', 'main:data/input/a.csv'), '1')
})

test('what renku leaves lying about is told, and a machine without it says how to get it', async (t) => {
  const { destination } = await story(t, '#!/bin/sh\necho x > stray\n')
  await assert.rejects(destination().publish(outgoing({ 'a.csv': '1' })), /did not commit: \?\? stray/)
  await assert.rejects(
    destination({ program: 'no-such-renku' }).publish(outgoing({ 'a.csv': '2' })),
    (error) => isNodeError(error, 'UNSUPPORTED') && /install Renku's command line/.test(error.message),
  )
})

test('a project whose data/input is a link leads nowhere', async (t) => {
  const { root, destination, theirs } = await story(t)
  const outside = join(root, 'outside')
  await mkdir(outside)
  await mkdir(join(root, 'theirs/data'))
  await run('ln', ['-s', outside, join(root, 'theirs/data/input')])
  await theirs('add', '.')
  await theirs('commit', '--quiet', '--message', 'a trap')
  await theirs('push', '--quiet', 'origin', 'HEAD:main')
  await assert.rejects(destination().publish(outgoing({ 'a.csv': '1' })), (error) =>
    isNodeError(error, 'PATH_UNSAFE'),
  )
  await assert.rejects(readFile(join(outside, 'a.csv')))
})
