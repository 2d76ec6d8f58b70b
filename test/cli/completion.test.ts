import { expect, it } from "@effect/vitest"
import * as Completion from "../../src/cli/terminal/completion.js"

const complete = Completion.make(["help", "model", "history", "exit"], ["openai/gpt-4o", "openai/gpt-4o-mini", "fast"])

it.each([
  ["/h", ["/help", "/history"]],
  ["/MO", ["/model"]],
  ["/", ["/help", "/model", "/history", "/exit"]],
  ["/model ", ["/model openai/gpt-4o", "/model openai/gpt-4o-mini", "/model fast"]],
  ["/model  openai/gpt-4o-", ["/model openai/gpt-4o-mini"]],
  ["/model none", []],
  ["/load ", []],
  ["How are", []],
  ["", []]
])("completes %j", (line, lines) => {
  expect(complete(line)).toEqual(lines)
})
