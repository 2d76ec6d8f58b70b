import { describe, expect, it } from "vitest"
import * as Chat from "../../src/vocabulary/Chat.js"
import { turnsOf, weave } from "../../src/programs/conversation/turns.js"

const [u1, u2, u3, u4] = [Chat.user("1"), Chat.user("2"), Chat.user("3"), Chat.user("4")]
const [s1, s2, s3] = [Chat.system("a"), Chat.system("b"), Chat.system("c")]
const calls = (...ids: ReadonlyArray<string>): Chat.Message =>
  Chat.assistant(ids.map((id) => Chat.toolCall(id, "f", "{}")))

describe("turnsOf", () => {
  it("splits a history at user messages and leaves system messages out", () => {
    const [a1, a2, r1] = [calls("x"), Chat.assistant("b"), Chat.toolResult("x", "r")]
    expect(turnsOf([s1, u1, a1, s2, r1, a2, u2, s3])).toEqual([[u1, a1, r1, a2], [u2]])
    expect(turnsOf([u1, u2])).toEqual([[u1], [u2]])
    expect(turnsOf([a2, u1])).toEqual([[a2], [u1]])
    expect(turnsOf([s1])).toEqual([])
  })
  it("joins the turns of a call and a result that comes after further user messages", () => {
    const [a1, a2, x, y] = [calls("x"), calls("y"), Chat.toolResult("x", "r"), Chat.toolResult("y", "r")]
    expect(turnsOf([u1, u2, a1, u3, x, u4])).toEqual([[u1], [u2, a1, u3, x], [u4]])
    expect(turnsOf([u1, a1, u2, a2, u3, x, u4, y])).toEqual([[u1, a1, u2, a2, u3, x, u4, y]])
  })
  it("keeps the turns of two calls with the same id apart", () => {
    const [a1, a2, r1, r2] = [calls("x"), calls("x"), Chat.toolResult("x", "1"), Chat.toolResult("x", "2")]
    expect(turnsOf([u1, a1, r1, u2, a2, r2])).toEqual([
      [u1, a1, r1],
      [u2, a2, r2]
    ])
  })
  it("puts a result without a call into the current turn", () => {
    const stray = Chat.toolResult("none", "r")
    expect(turnsOf([stray, u1, stray])).toEqual([[stray], [u1, stray]])
  })
})

describe("weave", () => {
  const a1 = Chat.assistant("a")

  it("puts system messages back where they were", () => {
    const history = [s1, u1, a1, s2, u2, u3, s3]
    expect(weave(history, [u1, a1, u2, u3])).toEqual(history)
    expect(weave(history, [u3])).toEqual([s1, s2, u3, s3])
    expect(weave(history, [])).toEqual([s1, s2, s3])
  })
  it("puts new messages behind the first system message and before the others", () => {
    expect(weave([s1, u1, a1, s2, u2], [u4, u2])).toEqual([s1, u4, s2, u2])
  })
  it("puts no system message between a call and a result that was replaced by a note", () => {
    const [call, result, note] = [calls("x"), Chat.toolResult("x", "long"), Chat.toolResult("x", "short")]
    expect(weave([u1, call, result, s1, a1], [u1, call, note, a1])).toEqual([u1, call, note, s1, a1])
  })
  it("keeps every system message when a message object occurs twice in the history", () => {
    expect(weave([u2, s1, u1, a1, s2, u1], [u1])).toEqual([s1, s2, u1])
    expect(weave([u2, s1, u1, a1, s2, u1], [u1, a1, u1])).toEqual([s1, s2, u1, a1, u1])
  })
})
