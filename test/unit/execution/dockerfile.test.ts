import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dockerfileNeeds, handedOn } from '../../../src/execution/images/dockerfile.ts'

const needs = (...lines: string[]) => dockerfileNeeds(lines.join('\n'))

test('the images that a build begins with are found, its own stages are not', () => {
  const found = needs(
    '# syntax=docker/dockerfile:1',
    'ARG BASE=debian',
    'ARG TAG="12"',
    `from --platform=linux/amd64 \${BASE}:$TAG as Compile`,
    'RUN echo FROM elsewhere',
    'FROM scratch',
    'COPY --from=compile /a /a',
    'COPY --from=0 /b /b',
    'COPY --chown=1:1 --from=lab/tools:3 /c /c',
    `FROM \${OTHER:-alpine} AS last`,
    'FROM compile',
    'FROM debian:12',
  )
  assert.deepEqual(found, { bases: ['debian:12', 'lab/tools:3', 'alpine'], fetches: [], problems: [] })
})

test('lines that go on are one, with comments and blanks between', () => {
  assert.deepEqual(needs('FROM \\', '# a comment', '', '  busybox \\', '  AS x', 'FROM x').bases, ['busybox'])
  assert.deepEqual(needs('# escape=`', 'FROM `', 'busybox').bases, ['busybox'])
})

test('what ADD fetches is found, and a variable counts as what it may hold', () => {
  const found = needs(
    'FROM scratch',
    'ADD a.txt b.txt /x/',
    'ADD --chown=1 https://example.org/x.tar /x/',
    'ADD ["http://169.254.169.254/latest", "/x"]',
    'ADD $WHERE /y',
    'ADD git@example.org:x.git /z',
    'COPY $WHERE /y',
  )
  assert.deepEqual(found.fetches, [
    'https://example.org/x.tar',
    'http://169.254.169.254/latest',
    '$WHERE',
    'git@example.org:x.git',
  ])
})

test('what cannot be made out is told with its line', () => {
  const found = needs('ARG X', 'FROM $X', 'FROM scratch', 'COPY --from=$Y a b')
  assert.equal(found.problems.length, 2)
  assert.match(found.problems[0] ?? '', /line 2: FROM \$X/)
  assert.match(found.problems[1] ?? '', /line 4: COPY --from=\$Y/)
  assert.deepEqual(needs('RUN true').problems, ['there is no FROM'])
})

/** Docker reads each of these as fetching this, and an instruction of theirs is easily read as something else. */
const HIDDEN: [what: string, ...lines: string[]][] = [
  ['an escape directive that comes too late', '# escape=`', 'ENV a=`', 'ADD http://x/y /z'],
  ['an escape directive after an empty line', '', '# escape=`', 'ENV a=`', 'ADD http://x/y /z'],
  ['a word over two lines', 'AD\\', 'D http://x/y /z'],
  ['quotes within a word', 'ADD h"ttp"://x/y /z'],
  ['an escape within a word', 'ADD ht\\tp://x/y /z'],
  ['an escape that is escaped', 'RUN echo \\\\', 'ADD http://x/y /z'],
  ['a blank that ends no line for Docker', 'RUN echo \\\u00a0', 'ADD http://x/y /z'],
  ['a line that is empty for others', 'RUN echo \\', '\ufeff', 'ADD http://x/y /z'],
  ['a blank before the word', '\u0085ADD http://x/y /z'],
  ['a blank before the address', 'ADD \u0085http://x/y /z'],
  ['ONBUILD, which a later stage runs', 'ONBUILD ADD http://x/y /z', 'FROM base'],
]

for (const [what, ...lines] of HIDDEN) {
  test(`what ADD fetches is not hidden by ${what}`, () => {
    const found = needs('FROM scratch AS base', ...lines)
    assert.ok(found.fetches.length + found.problems.length > 0)
  })
}

const BASES: [what: string, ...lines: string[]][] = [
  ['flags with an escape', 'COPY --fr\\om=evil / /e'],
  ['flags with quotes', 'COPY --f"r"om=evil / /e'],
  ['ONBUILD', 'ONBUILD COPY --from=evil / /e', 'FROM base'],
  ['a stage that has its name and is not done', 'FROM scratch AS evil', 'COPY --from=evil / /e'],
  ['two variables in one ARG', 'ARG X=1 BASE=evil'],
  ['a variable that is taken back', `ARG BASE`],
  ['a variable that the builder sets', `FROM \${TARGETARCH:+evil/}busybox`],
  ['the number of a stage', 'FROM 0'],
]

for (const [what, ...lines] of BASES) {
  test(`an image that a build begins with is not hidden by ${what}`, () => {
    const [last = ''] = lines.slice(-1)
    const all = last.startsWith('ARG')
      ? ['ARG BASE=ok', ...lines, 'FROM $BASE']
      : ['FROM scratch AS base', ...lines]
    const { bases, problems } = needs(...all)
    assert.ok(problems.length > 0 || bases.some((base) => base !== 'ok' && base !== 'busybox'), bases.join())
  })
}

test('what images hand on to a build is read as if it stood there', () => {
  const instructions = [
    'ADD http://x/y /z',
    'COPY --from=lab/tools:3 a b',
    'COPY --from=first c d',
    'RUN true',
  ]
  const found = handedOn(instructions, 'FROM a AS first\nFROM b')
  assert.deepEqual(found, { bases: ['lab/tools:3'], fetches: ['http://x/y'], problems: [] })
})
