/** A whole answer in each protocol, with every field of its API reference and unknown ones. */

/** OpenAI, API reference: chat/object; with fields of OpenRouter, Perplexity and Google. */
const openai = {
  id: "chatcmpl-1",
  object: "chat.completion",
  model: "exact-model",
  system_fingerprint: "fp_1",
  service_tier: "flex",
  provider: "Somebody",
  citations: ["https://a.example"],
  search_results: [{ title: "A", url: "https://a.example" }],
  vendor: { region: "eu" },
  choices: [
    {
      index: 0,
      finish_reason: "tool_calls",
      native_finish_reason: "tool_use",
      stop_reason: 42,
      logprobs: { content: [{ token: "Hi", logprob: -0.1, bytes: [72], top_logprobs: [] }], refusal: null },
      content_filter_results: { hate: { filtered: false } },
      message: {
        role: "assistant",
        content: "Hi",
        refusal: null,
        annotations: [{ type: "url_citation", url_citation: { url: "https://a.example" } }],
        audio: { id: "audio_1", data: "UklGRg==", transcript: "Hi", expires_at: 7 },
        citations_of_vendor: [1],
        tool_calls: [
          {
            id: "call_1",
            type: "function",
            function: { name: "weather", arguments: '{"city":"Rome"}', vendor: 1 },
            extra_content: { vendor: { mark: "x" } }
          },
          { id: "call_2", type: "custom", custom: { name: "sql", input: "SELECT 1" } }
        ]
      }
    }
  ],
  usage: {
    prompt_tokens: 5,
    completion_tokens: 2,
    total_tokens: 7,
    cost: 0,
    num_search_queries: 1,
    prompt_tokens_details: { cached_tokens: 1, cache_write_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 4,
      rejected_prediction_tokens: 0
    }
  }
}

/** Anthropic, API reference: "Create a Message". */
const anthropic = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "exact-model",
  content: [
    { type: "thinking", thinking: "Hm.", signature: "sig_1" },
    { type: "text", text: "I search." },
    { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "x" } },
    {
      type: "web_search_tool_result",
      tool_use_id: "srvtoolu_1",
      content: [{ type: "web_search_result", url: "https://a.example", title: "A", encrypted_content: "e" }]
    },
    { type: "redacted_thinking", data: "sealed" },
    { type: "text", text: "It is " },
    {
      type: "text",
      text: "so.",
      citations: [{ type: "web_search_result_location", url: "https://a.example", cited_text: "so" }],
      vendor_of_block: 1
    },
    { type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Rome" }, caller: { type: "direct" } }
  ],
  stop_reason: "tool_use",
  stop_sequence: null,
  stop_details: { type: "x" },
  container: { id: "c_1", expires_at: "2030-01-01T00:00:00Z" },
  context_management: { applied_edits: [] },
  vendor: { region: "eu" },
  usage: {
    input_tokens: 5,
    output_tokens: 2,
    cache_creation_input_tokens: 3,
    cache_read_input_tokens: 4,
    cache_creation: { ephemeral_5m_input_tokens: 3, ephemeral_1h_input_tokens: 0 },
    service_tier: "priority",
    server_tool_use: { web_search_requests: 1, web_fetch_requests: 0 }
  }
}

/** OpenAI, API reference: responses/object. */
const responses = {
  id: "resp_1",
  object: "response",
  created_at: 7,
  completed_at: 8,
  status: "completed",
  background: false,
  error: null,
  incomplete_details: null,
  instructions: null,
  max_output_tokens: 100,
  max_tool_calls: 2,
  model: "exact-model",
  output: [
    {
      type: "reasoning",
      id: "rs_1",
      status: "completed",
      summary: [{ type: "summary_text", text: "Hm." }],
      encrypted_content: "sealed"
    },
    { type: "web_search_call", id: "ws_1", status: "completed", action: { type: "search", query: "x" } },
    {
      type: "message",
      id: "msg_1",
      role: "assistant",
      status: "completed",
      phase: "commentary",
      content: [
        {
          type: "output_text",
          text: "It is ",
          annotations: [{ type: "url_citation", url: "https://a.example", start_index: 0, end_index: 2, title: "A" }],
          logprobs: [{ token: "It", logprob: -0.1, bytes: [], top_logprobs: [] }]
        },
        { type: "output_text", text: "so.", annotations: [], logprobs: [], vendor_of_part: 1 }
      ]
    },
    {
      type: "function_call",
      id: "fc_1",
      call_id: "call_1",
      name: "weather",
      arguments: '{"city":"Rome"}',
      status: "completed",
      namespace: "n"
    },
    { type: "custom_tool_call", id: "ctc_1", call_id: "call_2", name: "sql", input: "SELECT 1", status: "completed" },
    { type: "mcp_call", id: "mcp_1", server_label: "s", name: "echo", arguments: "{}", output: "x" }
  ],
  parallel_tool_calls: true,
  previous_response_id: null,
  prompt_cache_key: "k",
  reasoning: { effort: "medium", summary: "detailed" },
  safety_identifier: "s",
  service_tier: "flex",
  store: true,
  temperature: 1,
  text: { format: { type: "text" }, verbosity: "medium" },
  tool_choice: "auto",
  tools: [],
  top_logprobs: 0,
  top_p: 1,
  truncation: "disabled",
  user: null,
  metadata: { team: "a" },
  vendor: { region: "eu" },
  usage: {
    input_tokens: 5,
    input_tokens_details: { cached_tokens: 1, cache_write_tokens: 0, vendor_tokens: 2 },
    output_tokens: 2,
    output_tokens_details: { reasoning_tokens: 1 },
    total_tokens: 7,
    vendor_units: 0
  }
}

export const richAnswers = { openai, anthropic, responses }
