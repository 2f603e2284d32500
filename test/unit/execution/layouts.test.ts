import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeComputeToData } from '../../../src/execution/steps/compute-to-data.ts'
import { filterLayoutOf, layoutNameOf, layoutOf } from '../../../src/execution/steps/layouts.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const service = {
  ...{ name: 'count', version: '1', description: '' },
  inputs: [
    { name: 'corpus', path: '/work/corpus', type: 'url' as const },
    { name: 'tree', path: '/work/tree', type: 'url' as const },
    { name: 'named', path: '/work/named', type: 'url' as const, filename: 'as.csv' },
    { name: 'settings', path: '/etc/count', type: 'string' as const, filename: 'settings.ini' },
  ],
  outputs: [{ name: 'counts', path: '/work/out' }],
}

const readOnly = (source: string, target: string) => ({ source, target, readOnly: true })
const writable = (source: string, target: string) => ({ source, target, readOnly: false })

test('a step says its layout, else the labels of its image do', () => {
  assert.equal(layoutNameOf({}, {}), 'mao')
  assert.equal(layoutNameOf({}, { service }), 'service')
  assert.equal(layoutNameOf({ layout: 'compute-to-data' }, {}), 'compute-to-data')
})

test("the predecessor's tools find their input and output where they always did", () => {
  const inputs = [{ name: 'data-2.csv', path: '/s/i/data-2.csv', isDirectory: false }]
  assert.deepEqual(layoutOf({ layout: 'mao', tool: 't', data: '/s/data', input: '/trees/1', inputs }), {
    mounts: [
      writable('/s/data', '/usr/src/app/data'),
      readOnly('/trees/1', '/usr/src/app/input'),
      readOnly('/s/i/data-2.csv', '/usr/src/app/inputs/data-2.csv'),
    ],
    environment: {},
    directories: [],
  })
})

test('an algorithm of compute-to-data finds its directories and variables', () => {
  const house = { directory: '/s/house', logs: '/s/logs', dids: ['raw', 'more'] }
  const laid = layoutOf({ layout: 'compute-to-data', tool: 'algo', data: '/s/data', inputs: [], house })
  assert.deepEqual(laid.mounts, [
    ...['inputs', 'ddos', 'transformations'].map((name) => readOnly(`/s/house/${name}`, `/data/${name}`)),
    writable('/s/data', '/data/outputs'),
    writable('/s/logs', '/data/logs'),
  ])
  assert.deepEqual(laid.environment, {
    ...{ DIDS: '["raw","more"]', TRANSFORMATION_DID: 'algo', VOLUME: '/data', LOGS: '/data/logs' },
    ...{ INPUTS: '/data/inputs', OUTPUTS: '/data/outputs', ALGO: '/data/transformations/algorithm' },
  })
})

test('a service finds each input where its labels say, and writes each output into a directory of that name', () => {
  const inputs = [
    { name: 'corpus', path: '/s/i/corpus', isDirectory: false },
    { name: 'tree', path: '/trees/2', isDirectory: true },
    { name: 'named', path: '/s/i/named', isDirectory: false },
    { name: 'settings', path: '/s/i/settings', isDirectory: false },
  ]
  const laid = layoutOf({ layout: 'service', tool: 't', service, data: '/s/data', inputs })
  assert.deepEqual(laid.mounts, [
    writable('/s/data', '/usr/src/app/data'),
    readOnly('/s/i/corpus', '/work/corpus/corpus'),
    readOnly('/trees/2', '/work/tree'),
    readOnly('/s/i/named', '/work/named/as.csv'),
    readOnly('/s/i/settings', '/etc/count/settings.ini'),
    writable('/s/data/counts', '/work/out'),
  ])
  assert.deepEqual(laid.directories, ['counts'])
})

test('a filter sees the output in every place where it may look for it, and no input', () => {
  for (const layout of ['mao', 'service', 'compute-to-data'] as const)
    assert.deepEqual(filterLayoutOf(layout, 'f', '/s/data').mounts, [
      writable('/s/data', '/usr/src/app/data'),
      writable('/s/data', '/data/outputs'),
    ])
  const { environment } = filterLayoutOf('compute-to-data', 'f', '/s/data')
  assert.equal(environment.DIDS, '[]')
})

test('the files of an input are numbered by path and described; code and parameters have places of their own', async (t) => {
  const base = await temporaryDirectory(t)
  const tree = join(base, 'tree')
  await mkdir(join(tree, 'b'), { recursive: true })
  await writeFile(join(tree, 'c.csv'), 'two')
  await writeFile(join(tree, 'b/a.csv'), 'one')
  await symlink('/etc/passwd', join(tree, 'link'))
  for (const name of ['algorithm', 'algoCustomData.json', 'single']) await writeFile(join(base, name), name)
  const file = (name: string) => ({ name, path: join(base, name), isDirectory: false })
  const inputs = [
    { name: 'raw', path: tree, isDirectory: true },
    file('single'),
    file('algorithm'),
    file('algoCustomData.json'),
  ]
  const directory = join(base, 'house')
  const signal = new AbortController().signal
  const dids = await writeComputeToData({ directory, inputs, tool: 'algo', reserveBytes: 0, signal })
  assert.deepEqual(dids, ['raw', 'single'])
  const read = (path: string) => readFile(join(directory, path), 'utf8')
  assert.deepEqual(await readdir(join(directory, 'inputs/raw')), ['0', '1'], 'a link is no file')
  assert.deepEqual([await read('inputs/raw/0'), await read('inputs/raw/1')], ['one', 'two'])
  assert.equal(await read('inputs/single/0'), 'single')
  assert.equal(await read('inputs/algoCustomData.json'), 'algoCustomData.json')
  assert.equal(await read('transformations/algorithm'), 'algorithm')
  assert.equal((await stat(join(directory, 'inputs/raw/0'))).mode & 0o777, 0o444)
  const described = JSON.parse(await read('ddos/raw'))
  assert.deepEqual(described.service[0].attributes.main.files[0], { index: 0, name: 'b/a.csv' })
  assert.equal(JSON.parse(await read('ddos/algo')).metadata.type, 'algorithm')
})

test('an input is not copied where that would leave the node less than it needs', async (t) => {
  const base = await temporaryDirectory(t)
  await writeFile(join(base, 'one'), 'x')
  const request = {
    directory: join(base, 'house'),
    inputs: [{ name: 'one', path: join(base, 'one'), isDirectory: false }],
    tool: 'a',
    reserveBytes: Number.MAX_SAFE_INTEGER,
    signal: new AbortController().signal,
  }
  await assert.rejects(writeComputeToData(request), { code: 'DISK_FULL' })
})

test('an input is not copied any more once its run is cancelled', async (t) => {
  const base = await temporaryDirectory(t)
  await writeFile(join(base, 'one'), 'x')
  const inputs = [{ name: 'one', path: join(base, 'one'), isDirectory: false }]
  const request = {
    directory: join(base, 'house'),
    inputs,
    tool: 'a',
    reserveBytes: 0,
    signal: AbortSignal.abort('cancelled'),
  }
  await assert.rejects(writeComputeToData(request), (error) => error === 'cancelled')
})
