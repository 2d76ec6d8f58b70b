/** The work by which absolute figures of different machines are compared: `JSON.parse` of a fixed body of 2 kB. */
const body = JSON.stringify({
  id: "chatcmpl-calibration",
  object: "chat.completion",
  created: 1_700_000_000,
  model: "model",
  choices: Array.from({ length: 4 }, (_, index) => ({
    index,
    message: {
      role: "assistant",
      content: "The capital of France is Paris. ".repeat(12),
      refusal: null,
      tool_calls: []
    },
    finish_reason: "stop"
  })),
  usage: { prompt_tokens: 12, completion_tokens: 340, total_tokens: 352, prompt_tokens_details: { cached_tokens: 0 } }
})

/** Microseconds of CPU of the calibration on the machine whose figures the aims are given in. */
export const reference = 3.7

export const calibration = {
  name: `JSON.parse of ${(body.length / 1000).toFixed(1)} kB`,
  run: async (times: number): Promise<number> => {
    let choices = 0
    for (let time = 0; time < times; time++) choices += JSON.parse(body).choices.length
    if (choices !== 4 * times) throw new Error("nothing was parsed")
    return times
  }
}
