// Compares the tests that were run in both builds, by file and title: node .ci/effect4/sameTests.mjs FOLDER, which has the reports that
// `npm test` and `npm run test:effect4` write with TEST_REPORTS=FOLDER. A test that was skipped was not run.
import { readFileSync } from "node:fs"
import { join, relative } from "node:path"
import { pathToFileURL } from "node:url"
import { builds } from "./builds.mjs"
import { isListed, onlyInEffect3, onlyInEffect4 } from "./oneVersion.mjs"

/** The tests that were run, as `file > title`, with how often: two tests can have one title. */
export const testsOf = ({ testResults }, root) => {
  const tests = new Map()
  for (const { assertionResults, name } of testResults) {
    const file = relative(root, name)
    for (const { ancestorTitles, status, title } of assertionResults) {
      if (status !== "passed" && status !== "failed") continue
      const test = [file, ...ancestorTitles, title].join(" > ")
      tests.set(test, (tests.get(test) ?? 0) + 1)
    }
  }
  return tests
}

const fileOf = (test) => test.slice(0, test.indexOf(" > "))

const total = (tests) => [...tests.values()].reduce((sum, count) => sum + count, 0)

/** The tests of one build that the other did not run, and that are not listed; and how many are. */
const missing = (own, other, list) => {
  const unlisted = []
  let listed = 0
  for (const [test, count] of own) {
    const more = count - (other.get(test) ?? 0)
    if (more <= 0) continue
    if (isListed(list, fileOf(test))) listed += more
    else unlisted.push(test)
  }
  return { unlisted, listed }
}

/** Entries of a list of which no test was run: they would hide a test of that name later. */
const unused = (tests, list) =>
  Object.keys(list).filter((path) => ![...tests.keys()].some((test) => isListed({ [path]: "" }, fileOf(test))))

export const compare = (three, four, only3 = onlyInEffect3, only4 = onlyInEffect4) => {
  const in3 = missing(three, four, only3)
  const in4 = missing(four, three, only4)
  return {
    lines: [
      `Effect 3: ${total(three)} tests, of which ${in3.listed} have a subject of Effect 3 alone`,
      `Effect 4: ${total(four)} tests, of which ${in4.listed} have a subject of Effect 4 alone`
    ],
    faults: [
      ...in3.unlisted.map((test) => `not run with Effect 4: ${test}`),
      ...in4.unlisted.map((test) => `not run with Effect 3: ${test}`),
      ...unused(three, only3).map((path) => `no test of Effect 3 was run: ${path}`),
      ...unused(four, only4).map((path) => `no test of Effect 4 was run: ${path}`)
    ]
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [, , folder] = process.argv
  if (folder === undefined) throw new Error("Usage: node .ci/effect4/sameTests.mjs FOLDER")
  const [three, four] = builds.map(({ cwd, effect }) =>
    testsOf(JSON.parse(readFileSync(join(folder, `effect${effect}.json`), "utf8")), cwd)
  )
  const { faults, lines } = compare(three, four)
  for (const line of lines) console.log(line)
  const [oneList, otherList] = [onlyInEffect3, onlyInEffect4].map(Object.entries)
  for (const [path, reason] of [...oneList, ...otherList]) console.log(`  ${path}: ${reason}`)
  for (const fault of faults.slice(0, 50)) console.error(fault)
  if (faults.length > 0) {
    console.error(`The tests of both builds differ in ${faults.length} places. See .ci/effect4/oneVersion.mjs.`)
    process.exitCode = 1
  }
}
