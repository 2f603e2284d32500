import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AllowedAddresses, isAllowedEntry, whyNotPublic } from '../../../src/base/public-address.ts'
import { stepInputSchema } from '../../../src/execution/catalogue/step-input.ts'
import { baseNameOf, inputNames, safeName } from '../../../src/execution/inputs/input-names.ts'
import { itemsOf } from '../../../src/execution/inputs/landing-page.ts'
import {
  identifierText,
  parsePersistentIdentifier,
} from '../../../src/execution/inputs/persistent-identifier.ts'

test('equal names all survive, the later ones with a number before the ending', () => {
  const based = (...bases: string[]) => inputNames(bases.map((base) => ({ base })))
  assert.deepEqual(based('data.csv', 'data.csv', 'data.csv'), ['data.csv', 'data-2.csv', 'data-3.csv'])
  assert.deepEqual(based('a.tar.gz', 'A.tar.gz', 'a-2.tar.gz'), ['a.tar.gz', 'A-2.tar.gz', 'a-2-2.tar.gz'])
  assert.deepEqual(based('', '..', '.hidden'), ['input', 'input-2', 'hidden'])
  // What the step says itself keeps its name, wherever it stands.
  assert.deepEqual(inputNames([{ base: 'x.csv' }, { base: 'y', wanted: 'x.csv' }]), ['x-2.csv', 'x.csv'])
})

test('whatever inputs are called, their names differ and are safe', () => {
  const base = fc.oneof(fc.string(), fc.constantFrom('data.csv', 'DATA.csv', 'data-2.csv', 'x'.repeat(300)))
  fc.assert(
    fc.property(fc.array(base, { maxLength: 20 }), (bases) => {
      const names = inputNames(bases.map((each) => ({ base: each })))
      assert.equal(new Set(names.map((name) => name.toLowerCase())).size, bases.length)
      for (const name of names) assert.match(name, /^[\w][\w .+@=-]{0,199}$/)
    }),
  )
})

test('a file is called what its address ends in', () => {
  const base = (text: string) => safeName(baseNameOf(new URL(text)))
  assert.equal(base('https://example.org/a/data.csv?token=1'), 'data.csv')
  assert.equal(base('https://example.org/a/b%20c%2Fd.csv/'), 'b c_d.csv')
  assert.equal(base('https://example.org'), 'example.org')
  assert.equal(base('https://example.org/100%'), '100_')
})

test('identifiers are read as people write them', () => {
  const read = (text: string) => {
    const pid = parsePersistentIdentifier(text)
    return pid === undefined ? undefined : identifierText(pid)
  }
  for (const text of [
    '10.5281/zenodo.1234',
    'doi:10.5281/zenodo.1234',
    'DOI: 10.5281/zenodo.1234',
    'https://doi.org/10.5281/zenodo.1234',
    'http://dx.doi.org/10.5281/zenodo.1234?x=1',
  ])
    assert.equal(read(text), 'doi:10.5281/zenodo.1234', text)
  assert.equal(read('hdl:20.500.12345/6789'), 'hdl:20.500.12345/6789')
  assert.equal(read('https://hdl.handle.net/11304/a%2Fb'), 'hdl:11304/a/b')
  assert.equal(read('21.T11998/0000-001A'), 'hdl:21.T11998/0000-001A')
  for (const text of ['', 'data.csv', 'doi:11304/abc', 'https://example.org/10.5281/x', '10.5281/'])
    assert.equal(read(text), undefined, text)
})

test('a landing page names its files in its Link header', () => {
  const page = new URL('https://repo.example.org/records/1')
  const header =
    '<https://doi.org/10.1/x>; rel="cite-as", </files/a,b.csv>; type="text/csv"; rel="item", <c.csv>;rel=item, <d>; title="x>; rel=item"; rel=author'
  assert.deepEqual(itemsOf(header, page), [
    'https://repo.example.org/files/a,b.csv',
    'https://repo.example.org/records/c.csv',
  ])
})

test('only addresses that everybody can ask are public', () => {
  const PUBLIC = ['8.8.8.8', '1.1.1.1', '172.15.0.1', '172.32.0.1', '2606:4700::1111', '::ffff:8.8.8.8']
  for (const address of PUBLIC) assert.equal(whyNotPublic(address), undefined, address)
  const NOT_PUBLIC = [
    ...['127.0.0.1', '127.255.255.254', '0.0.0.0', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1'],
    ...[
      '169.254.169.254',
      '100.64.0.1',
      '100.100.100.200',
      '192.0.0.192',
      '192.0.2.1',
      '198.18.0.1',
      '203.0.113.9',
    ],
    ...['224.0.0.1', '240.0.0.1', '255.255.255.255', '168.63.129.16', '192.88.99.1'],
    ...[
      '::',
      '::1',
      'fe80::1',
      'fe80::1%eth0',
      'fd00:ec2::254',
      'fc00::1',
      'ff02::1',
      '2001:db8::1',
      '64:ff9b::a00:1',
    ],
    ...[
      '::ffff:127.0.0.1',
      '::ffff:a9fe:a9fe',
      '::127.0.0.1',
      '2002:7f00:1::',
      '2001::1',
      '100::1',
      '64:ff9b:1::1',
    ],
    ...['', 'localhost', '300.1.1.1'],
  ]
  for (const address of NOT_PUBLIC) assert.notEqual(whyNotPublic(address), undefined, address)
})

test('an operator allows addresses, ranges and names', () => {
  const allowed = new AllowedAddresses(['10.1.0.0/16', '::1', 'data.example.org'])
  assert.equal(allowed.refusal('10.1.2.3', 'x.example.org'), undefined)
  assert.equal(allowed.refusal('::ffff:10.1.2.3', 'x.example.org'), undefined)
  assert.equal(allowed.refusal('10.2.0.1', 'x.example.org'), 'private')
  assert.equal(allowed.refusal('10.2.0.1', 'DATA.example.org'), undefined)
  assert.equal(allowed.refusal('::1', '::1'), undefined)
  assert.equal(allowed.refusal('127.0.0.1', 'localhost'), 'loopback')
  for (const entry of ['10.0.0.0/8', 'fd00::/8', '127.0.0.1', 'localhost', 'a.example.org'])
    assert.ok(isAllowedEntry(entry), entry)
  for (const entry of ['', '10.0.0.0/99', 'http://x', 'a b', '10.0.0'])
    assert.ok(!isAllowedEntry(entry), entry)
})

test('a step with a password in an address, or with no identifier, is refused as it is written', () => {
  const says = (input: unknown) => stepInputSchema.safeParse(input).success
  assert.ok(says({ url: 'https://example.org/a.csv', sha256: 'a'.repeat(64) }))
  assert.ok(!says({ url: 'https://me:secret@example.org/a.csv' }))
  assert.ok(!says({ url: 'file:///etc/passwd' }))
  assert.ok(says({ pid: ' doi:10.5281/zenodo.1 ' }))
  assert.ok(!says({ pid: 'zenodo' }))
  assert.ok(!says({ url: 'https://example.org/a.csv', text: 'x' }))
  assert.ok(!says({ text: 'x', name: '../x' }))
})
