import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { test } from 'node:test'
import { extract } from 'tar-stream'
import type { PublicationView } from '../../src/api/publication-views.ts'
import type { RunView } from '../../src/api/run-views.ts'
import { maoctlHere, startInstance, tellJson } from '../support/maoctl.ts'
import { serves, startSourceServer } from '../support/source-server.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { BUSYBOX, testImage } from '../support/test-images.ts'

const SCRIPT =
  'cd inputs; for f in *; do test -d $f && f=$f/a.csv; echo $f $(cat $f); done > ../data/seen.txt; echo x >> data.csv || echo refused >> ../data/seen.txt; mkdir ../data/deep; echo 0123456789 > ../data/deep/digits.txt'

function pipeline(url: string): string {
  const sha256 = createHash('sha256').update('from the web').digest('hex')
  return JSON.stringify({
    name: 'gathering',
    steps: [
      {
        ...{ name: 'gather', tool: 'shell', cmd: ['sh', '-c', SCRIPT], output_dataset: 'results' },
        inputs: [
          { url: `${url}/data.csv`, sha256 },
          { url: `${url}/data.csv?b` },
          { text: 'by hand', name: 'note.txt' },
          { dataset: 'manifests' },
        ],
        ...{ publish: ['shelf'], keepMs: 3_600_000 },
      },
    ],
  })
}

test('a run reads files from the web, publishes what it made, and people list it and take it home', {
  timeout: 120_000,
}, async (t) => {
  await testImage()
  const web = await startSourceServer(t)
  web.at.set('/data.csv', serves('from the web'))
  const [data, shelf] = [await temporaryDirectory(t), await temporaryDirectory(t)]
  await startInstance(t, data, ['--name', 'alice'], {
    MAO_EXECUTION_INPUTS_ALLOWED_ADDRESSES: '127.0.0.1',
    MAO_EXECUTION_PUBLISHERS: JSON.stringify({
      shelf: { kind: 'folder', directory: shelf },
      gone: { kind: 'folder', directory: join(shelf, 'not-mounted') },
    }),
  })
  const say = (...words: string[]) => maoctlHere(['--data', data, ...words])
  await tellJson(data, 'federation', 'create', '--name', 'lab')
  await mkdir(join(data, 'input'))
  await writeFile(join(data, 'input', 'a.csv'), 'from git')
  await tellJson(data, 'dataset', 'import', join(data, 'input'), '--name', 'manifests')
  await tellJson(data, 'dataset', 'add', '--name', 'results')
  await tellJson(data, 'tool', 'add', 'shell', '--image', BUSYBOX)
  await writeFile(join(data, 'pipeline.json'), pipeline(web.url))
  await tellJson(data, 'pipeline', 'add', '-f', join(data, 'pipeline.json'))
  const run = await tellJson<RunView>(data, 'pipeline', 'run', 'gathering', '--wait')
  assert.equal(run.state, 'succeeded', run.reason)
  const [step] = run.steps
  assert.deepEqual(
    step?.inputs?.map(({ name, kind }) => [name, kind]),
    [
      ['data.csv', 'url'],
      ['data-2.csv', 'url'],
      ['note.txt', 'text'],
      ['manifests', 'dataset'],
    ],
  )

  // What it made, in every way.
  const listed = await say('run', 'files', run.id)
  assert.match(listed.stdout, /^directory +- +deep\/$/m)
  const all = await tellJson<{ entries: { path: string }[] }>(data, 'run', 'files', run.id, '--recursive')
  assert.deepEqual(
    all.entries.map(({ path }) => path),
    ['deep/digits.txt', 'seen.txt'],
  )
  const seen = await say('run', 'get', run.id, 'seen.txt', '--step', 'gather')
  const lines = [
    'data-2.csv from the web',
    'data.csv from the web',
    'manifests/a.csv from git',
    'note.txt by hand',
  ]
  assert.equal(seen.stdout, [...lines, 'refused', ''].join('\n'))
  assert.equal((await say('run', 'get', run.id, 'deep/digits.txt', '--range', '3-5')).stdout, '345')
  const archive = join(data, 'all.tar')
  assert.match((await say('run', 'get', run.id, '--all', '-o', archive)).stdout, /of the run .* are in/)
  assert.deepEqual(await namesIn(archive), ['deep/digits.txt', 'seen.txt'])
  for (const [words, says] of [
    [['run', 'get', run.id], /Name a file/],
    [['run', 'get', run.id, 'seen.tx'], /seen\.txt/],
    [['run', 'get', run.id, 'seen.txt', '--step', 'other'], /its steps are gather/],
    [['run', 'files', 'nothing'], /No run is named nothing/],
  ] as const) {
    const said = await say(...words)
    assert.notEqual(said.exit, 0)
    assert.match(said.stderr, says)
  }

  // Where it went, and how it is taken back.
  assert.deepEqual(await readdir(join(shelf, run.id, 'gather')), ['deep', 'manifest.json', 'seen.txt'])
  const manifest = JSON.parse(await readFile(join(shelf, run.id, 'gather/manifest.json'), 'utf8'))
  assert.equal(manifest.commit, step?.outputCommit)
  assert.match((await say('publisher', 'list')).stdout, /^shelf +folder/m)
  const [publication] = await tellJson<PublicationView[]>(data, 'publication', 'list', '--run', run.id)
  const lifeMs = (publication?.expiresMs ?? 0) - (publication?.createdMs ?? 0)
  assert.ok(lifeMs >= 3_600_000 && lifeMs < 3_660_000, `kept for ${lifeMs} ms`)
  assert.match((await say('run', 'show', run.id)).stdout, /^gather +shelf +file:\/\/.* 2 /m)
  assert.equal((await say('--yes', 'publication', 'remove', publication?.id ?? '')).exit, 0)
  assert.deepEqual(await readdir(shelf), [])
  const shown = await tellJson<RunView>(data, 'run', 'show', run.id)
  assert.ok(shown.steps[0]?.published?.[0]?.removedMs !== undefined)
  const key = await maoctlHere(['--data', data, 'publisher', 'key', 'NOBODY'], { input: 'secret\n' })
  assert.match(key.stderr, /No publisher of this node asks for NOBODY/)

  // A publisher that fails: the commit stands, another has got it all the same, and the run says so.
  await writeFile(join(data, 'half.json'), pipeline(web.url).replace('["shelf"]', '["gone","shelf"]'))
  await tellJson(data, 'pipeline', 'add', '-f', join(data, 'half.json'))
  const half = JSON.parse((await say('--json', 'pipeline', 'run', 'gathering', '--wait')).stdout) as RunView
  assert.deepEqual([half.state, half.code], ['errored', 'PUBLISH_FAILED'])
  assert.match(half.reason ?? '', /was committed as [0-9a-f]{40}, and then not published by gone/)
  assert.deepEqual(
    half.steps[0]?.published?.map(({ publisher }) => publisher),
    ['shelf'],
  )
  assert.ok(half.steps[0]?.outputCommit !== undefined)
  assert.equal((await say('run', 'get', half.id, 'deep/digits.txt')).stdout, '0123456789\n')

  // A publisher that is not there, and a source that is gone, end the run before its tool begins.
  await writeFile(join(data, 'bad.json'), pipeline(web.url).replace('"shelf"', '"shelv"'))
  await tellJson(data, 'pipeline', 'add', '-f', join(data, 'bad.json'))
  const rejected = JSON.parse(
    (await say('--json', 'pipeline', 'run', 'gathering', '--wait')).stdout,
  ) as RunView
  assert.deepEqual([rejected.state, rejected.code], ['rejected', 'PUBLISHER_NOT_FOUND'])
  await writeFile(join(data, 'bad.json'), pipeline(`${web.url}/gone`))
  await tellJson(data, 'pipeline', 'add', '-f', join(data, 'bad.json'))
  const missing = JSON.parse(
    (await say('--json', 'pipeline', 'run', 'gathering', '--wait')).stdout,
  ) as RunView
  assert.equal(missing.code, 'NOT_FOUND')
  assert.equal(missing.steps[0]?.containerId, undefined)
})

async function namesIn(file: string): Promise<string[]> {
  const reading = extract()
  const names: string[] = []
  reading.on('entry', ({ name, type }, stream, next) => {
    if (type === 'file') names.push(name)
    stream.resume()
    stream.once('end', next)
  })
  reading.end(await readFile(file))
  await finished(reading)
  return names
}
