import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type Facts, failing, holds, parseWhere } from '../../../../src/execution/remote/where.ts'

const GIB = 1024 ** 3
const zurich: Facts = {
  cpus: 4,
  memoryBytes: 8 * GIB,
  diskBytes: 100 * GIB,
  gpus: 1,
  architecture: 'amd64',
  engine: 'local',
  peers: ['alice', '12D3KooAlice'],
  labels: { site: 'zurich', 'rack.row': 'b 7' },
  holds: (dataset) => dataset === 'x',
}

suite('where a run may go', () => {
  for (const [text, expected] of [
    ['memory>=8', true],
    ['memory > 8', false],
    ['memory>=8.5', false],
    ['memory>=8192MiB', true],
    ['memory>=8GB && memory<9GB', true],
    ['disk<=0.1TiB', true],
    ['gpu>=1 && cpus>=4', true],
    ['gpu=0', false],
    ['dataset=x', true],
    ['dataset=y', false],
    ['dataset!=y', true],
    ['peer=alice', true],
    ['peer=12D3KooAlice', true],
    ['peer=bob || label.site=zurich', true],
    ['label.site="zurich"', true],
    ["label.rack.row='b 7'", true],
    ['label.none=zurich', false],
    ['label.none!=zurich', true],
    ['!(memory>=8)', false],
    ['!!(memory>=8)', true],
    ['! peer=bob && ! dataset=y', true],
    // && binds closer than ||.
    ['peer=bob && peer=carol || peer=alice', true],
    ['peer=bob && (peer=carol || peer=alice)', false],
    ['architecture=amd64 && engine=local', true],
    // A label is what the offer says, and nothing that an object happens to have.
    ['label.constructor=x', false],
    ['label.toString!=x', true],
  ] as const) {
    test(`${text} is ${expected}`, () => assert.equal(holds(parseWhere(text), zurich), expected))
  }

  for (const [text, place, why] of [
    ['', 1, /expected one of cpus, memory/],
    ['memory', 7, /the end.*expected one of = !=/],
    ['memory>=', 9, /expected a value for memory/],
    ['memory>=eight', 9, /a number of GiB/],
    ['memory>=8XB', 9, /512MiB/],
    ['gpu>=1GiB', 6, /gpu is a number/],
    ['speed>=8', 1, /"speed": expected one of/],
    ['peer>alice', 5, /compared with = or !=/],
    ['(memory>=8', 11, /expected \)/],
    ['memory>=8)', 10, /expected && or \|\| or the end/],
    ['memory>=8 dataset=x', 11, /expected && or/],
    ['memory>=8 & dataset=x', 11, /cannot stand here/],
    ['label.site="zurich', 12, /this quote has no end/],
    ['process.exit()=1', 1, /expected one of/],
  ] as const) {
    test(`"${text}" is refused at character ${place}`, () => {
      assert.throws(
        () => parseWhere(text),
        (error: { code?: string; data?: { place?: number }; message: string }) => {
          assert.equal(error.code, 'INVALID_INPUT')
          assert.equal(error.data?.place, place)
          assert.match(error.message, why)
          return true
        },
      )
    })
  }

  test('a predicate is bounded in length and in depth', () => {
    assert.throws(() => parseWhere(`label.a=${'b'.repeat(2_000)}`), /at most 1000 characters/)
    assert.throws(() => parseWhere(`${'('.repeat(40)}gpu=1${')'.repeat(40)}`), /nested deeper than 32/)
    assert.throws(() => parseWhere(`${'!'.repeat(900)}gpu=1`), /nested deeper/)
  })

  test('what does not hold is named in the words of whoever asked', () => {
    const why = (text: string) => failing(parseWhere(text), zurich)
    assert.equal(why('memory>=8 && gpu>=2 && dataset=y'), 'gpu>=2')
    assert.equal(why('gpu>=1 && (peer=bob || dataset=y)'), 'peer=bob || dataset=y')
    assert.equal(why('! dataset=x'), '! dataset=x')
    assert.equal(why('memory>=8'), undefined)
  })
})
