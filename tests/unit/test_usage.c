/*
 * Usage objects as the providers and gateways write them, each with where it is from and what it costs.  Drawn ones are
 * held against another reading in tests/model/test_usage_objects.py.
 */
#include "unit.h"

#include "prices/usage.h"

#define OBJECT_MAX 2048

/* ' stands for ".  micros at 3, 0.3, 3.75, 6 and 15 dollars per million: 3 x input + 0.3 x read + 3.75 x written
 * + 6 x written for an hour + 15 x output, rounded up. */
struct golden {
	const char *source, *usage;
	int64_t count[PRICE_CLASSES];
	int64_t micros;
	bool counted, no_input;
	int64_t rest;
};

static int read_text(const char *quoted, struct usage *u)
{
	char text[OBJECT_MAX], error[JSON_ERROR_MAX];
	size_t length = strlen(quoted);
	struct json *usage;
	int result;

	assert_true(length < sizeof(text));
	for (size_t i = 0; i <= length; i++)
		text[i] = quoted[i] == '\'' ? '"' : quoted[i];
	usage = json_parse(text, length, false, error);
	assert_non_null(usage);
	result = usage_read(usage, u);
	json_free(usage);
	return result;
}

static int64_t cost_of(const struct tokens *t)
{
	const struct price p = {.kind = PRICE_MODEL,
	                        .item = "m",
	                        .provider = "p",
	                        .terms = {1000000, 1000000, 10000},
	                        .tier_count = 1,
	                        .tier = {{0, {3000000, 300000, 3750000, 6000000, 15000000}}}};
	micros cost = 0;

	assert_true(price_valid(&p));
	assert_true(price_of_tokens(&p, UNIT_MONEY, t, &cost));
	return cost;
}

static void test_golden_objects(void **state)
{
	static const struct golden table[] = {
		{"openai-python types/completion_usage.py",
		 "{'prompt_tokens':1000,'completion_tokens':5000,'total_tokens':6000}",
		 {1000, 0, 0, 0, 5000}, 78000, true, false, 0},
		{"openai-python, o1",
		 "{'prompt_tokens':1000,'completion_tokens':5000,'total_tokens':6000,"
		 "'completion_tokens_details':{'reasoning_tokens':4990}}",
		 {1000, 0, 0, 0, 5000}, 78000, true, false, 0},
		{"docs.x.ai consumption-and-rate-limits: reasoning beside",
		 "{'prompt_tokens':1000,'completion_tokens':10,'total_tokens':6000,"
		 "'completion_tokens_details':{'reasoning_tokens':4990}}",
		 {1000, 0, 0, 0, 5000}, 78000, true, false, 0},
		{"BerriAI/litellm gateways of Gemini: thoughts in the total only",
		 "{'prompt_tokens':1000,'completion_tokens':10,'total_tokens':6000}",
		 {1000, 0, 0, 0, 5000}, 78000, true, false, 4990},
		{"python-genai types.py UsageMetadata (Live)",
		 "{'promptTokenCount':1000,'responseTokenCount':5000,'totalTokenCount':6000}",
		 {1000, 0, 0, 0, 5000}, 78000, true, false, 0},
		{"a misspelt member, covered by the total",
		 "{'prompt_tokens':1000,'completion_token':5000,'total_tokens':6000}",
		 {1000, 0, 0, 0, 5000}, 78000, true, false, 5000},
		{"platform.claude.com compaction, Understanding usage",
		 "{'input_tokens':10,'output_tokens':10,'iterations':[{'type':'compaction',"
		 "'input_tokens':990,'output_tokens':4990},{'type':'message','input_tokens':10,"
		 "'output_tokens':10}]}",
		 {1000, 0, 0, 0, 5000}, 78000, true, false, 0},
		{"all null is nothing",
		 "{'prompt_tokens':null,'completion_tokens':null,'total_tokens':null}",
		 {0, 0, 0, 0, 0}, 0, false, false, 0},
		{"openai-python, cache",
		 "{'prompt_tokens':2006,'completion_tokens':300,'total_tokens':2306,'prompt_tokens_details':{"
		 "'cached_tokens':1920,'audio_tokens':0},'completion_tokens_details':{'reasoning_tokens':128,"
		 "'audio_tokens':0,'accepted_prediction_tokens':0,'rejected_prediction_tokens':0}}",
		 {86, 1920, 0, 0, 300}, 5334, true, false, 0},
		{"openrouter.ai usage accounting, cache_write_tokens",
		 "{'prompt_tokens':194,'completion_tokens':2,'total_tokens':196,'cost':0.95,'is_byok':false,"
		 "'cost_details':{'upstream_inference_cost':19},'prompt_tokens_details':{'cached_tokens':0,"
		 "'cache_write_tokens':100,'audio_tokens':0},'completion_tokens_details':{"
		 "'reasoning_tokens':0}}",
		 {94, 0, 100, 0, 2}, 687, true, false, 0},
		{"openai-python, predicted outputs: rejected ones are in the completion",
		 "{'prompt_tokens':100,'completion_tokens':60,'total_tokens':160,"
		 "'completion_tokens_details':{'accepted_prediction_tokens':20,"
		 "'rejected_prediction_tokens':30}}",
		 {100, 0, 0, 0, 60}, 1200, true, false, 0},
		{"openai-python, audio: parts of both",
		 "{'prompt_tokens':90,'completion_tokens':80,'total_tokens':170,'prompt_tokens_details':{"
		 "'audio_tokens':70,'text_tokens':20,'cached_tokens':0},'completion_tokens_details':{"
		 "'audio_tokens':60,'text_tokens':20}}",
		 {90, 0, 0, 0, 80}, 1470, true, false, 0},
		{"openai-python, embeddings",
		 "{'prompt_tokens':8,'total_tokens':8}",
		 {8, 0, 0, 0, 0}, 24, true, false, 0},
		{"openai-python, details are null",
		 "{'prompt_tokens':12,'completion_tokens':3,'total_tokens':15,'prompt_tokens_details':null,"
		 "'completion_tokens_details':null}",
		 {12, 0, 0, 0, 3}, 81, true, false, 0},
		{"a client without total_tokens",
		 "{'prompt_tokens':12,'completion_tokens':3}",
		 {12, 0, 0, 0, 3}, 81, true, false, 0},
		{"php's json_encode of empty details",
		 "{'prompt_tokens':12,'completion_tokens':3,'total_tokens':15,'prompt_tokens_details':[]}",
		 {12, 0, 0, 0, 3}, 81, true, false, 0},
		{"UKGovernmentBEIS/inspect_ai#5528's kind; Wei-Shaw/sub2api#5771",
		 "{'prompt_tokens':10120,'completion_tokens':1499,'total_tokens':14428,"
		 "'prompt_tokens_details':{'cached_tokens':128},'completion_tokens_details':{"
		 "'reasoning_tokens':2809}}",
		 {9992, 128, 0, 0, 4308}, 94635, true, false, 0},
		{"vercel/ai#12425",
		 "{'prompt_tokens':12,'completion_tokens':1,'total_tokens':399,'num_sources_used':3,"
		 "'cost_in_usd_ticks':232856000,'completion_tokens_details':{'reasoning_tokens':386}}",
		 {12, 0, 0, 0, 387}, 5841, true, false, 0},
		{"docs.x.ai prompt-caching: text_tokens includes the cache",
		 "{'prompt_tokens':125,'completion_tokens':48,'total_tokens':173,'prompt_tokens_details':{"
		 "'text_tokens':125,'audio_tokens':0,'image_tokens':0,'cached_tokens':98},"
		 "'completion_tokens_details':{'reasoning_tokens':0}}",
		 {27, 98, 0, 0, 48}, 831, true, false, 0},
		{"docs.x.ai, responses",
		 "{'input_tokens':125,'output_tokens':48,'total_tokens':173,'input_tokens_details':{"
		 "'cached_tokens':98},'output_tokens_details':{'reasoning_tokens':0}}",
		 {27, 98, 0, 0, 48}, 831, true, false, 0},
		{"xAI without its total: the reasoning cannot be a part",
		 "{'prompt_tokens':12,'completion_tokens':2,'completion_tokens_details':{"
		 "'reasoning_tokens':317}}",
		 {12, 0, 0, 0, 319}, 4821, true, false, 0},
		{"openai-python types/responses/response_usage.py",
		 "{'input_tokens':36,'input_tokens_details':{'cached_tokens':6},'output_tokens':87,"
		 "'output_tokens_details':{'reasoning_tokens':50},'total_tokens':123}",
		 {30, 6, 0, 0, 87}, 1397, true, false, 0},
		{"response_usage.py, cache_write_tokens",
		 "{'input_tokens':100,'input_tokens_details':{'cached_tokens':10,'cache_write_tokens':30},"
		 "'output_tokens':1,'output_tokens_details':{'reasoning_tokens':0},'total_tokens':101}",
		 {60, 10, 30, 0, 1}, 311, true, false, 0},
		{"platform.openai.com realtime-conversations",
		 "{'total_tokens':541,'input_tokens':521,'output_tokens':20,'input_token_details':{"
		 "'text_tokens':292,'audio_tokens':229,'cached_tokens':192,'cached_tokens_details':{"
		 "'text_tokens':128,'audio_tokens':64}},'output_token_details':{'text_tokens':20,"
		 "'audio_tokens':0}}",
		 {329, 192, 0, 0, 20}, 1345, true, false, 0},
		{"openai-python types/images_response.py",
		 "{'total_tokens':100,'input_tokens':50,'output_tokens':50,'input_tokens_details':{"
		 "'text_tokens':10,'image_tokens':40}}",
		 {50, 0, 0, 0, 50}, 900, true, false, 0},
		{"openai-python types/audio/transcription.py, tokens",
		 "{'type':'tokens','input_tokens':14,'input_token_details':{'text_tokens':0,"
		 "'audio_tokens':14},'output_tokens':45,'total_tokens':59}",
		 {14, 0, 0, 0, 45}, 717, true, false, 0},
		{"transcription.py, duration: no token",
		 "{'type':'duration','seconds':9}",
		 {0, 0, 0, 0, 0}, 0, false, false, 0},
		{"anthropic-sdk-python types/usage.py",
		 "{'input_tokens':21,'cache_creation_input_tokens':556,'cache_read_input_tokens':188086,"
		 "'cache_creation':{'ephemeral_5m_input_tokens':456,'ephemeral_1h_input_tokens':100},"
		 "'output_tokens':393,'service_tier':'standard','server_tool_use':null}",
		 {21, 188086, 456, 100, 393}, 64694, true, false, 0},
		{"types/usage.py, no breakdown",
		 "{'input_tokens':21,'cache_creation_input_tokens':556,'cache_read_input_tokens':null,"
		 "'cache_creation':null,'output_tokens':393}",
		 {21, 0, 556, 0, 393}, 8043, true, false, 0},
		{"types/usage.py, searches are not tokens",
		 "{'input_tokens':105,'output_tokens':6039,'cache_read_input_tokens':7123,"
		 "'cache_creation_input_tokens':7345,'server_tool_use':{'web_search_requests':1,"
		 "'web_fetch_requests':0}}",
		 {105, 7123, 7345, 0, 6039}, 120581, true, false, 0},
		{"types/beta/beta_usage.py, thinking is in output_tokens",
		 "{'input_tokens':5,'output_tokens':70,'output_tokens_details':{'thinking_tokens':60},"
		 "'inference_geo':'us','speed':'fast','service_tier':'priority'}",
		 {5, 0, 0, 0, 70}, 1065, true, false, 0},
		{"message_delta of a stream",
		 "{'output_tokens':15}",
		 {0, 0, 0, 0, 15}, 225, true, true, 0},
		{"compaction, the documentation's figures",
		 "{'input_tokens':23000,'output_tokens':1000,'iterations':[{'type':'compaction',"
		 "'input_tokens':180000,'output_tokens':3500},{'type':'message','input_tokens':23000,"
		 "'output_tokens':1000}]}",
		 {203000, 0, 0, 0, 4500}, 676500, true, false, 0},
		{"ccusage/ccusage#1552: a declined attempt and its fallback",
		 "{'input_tokens':2,'output_tokens':13658,'cache_creation_input_tokens':0,"
		 "'cache_read_input_tokens':79214,'iterations':[{'type':'message','model':'claude-fable-5',"
		 "'input_tokens':2,'output_tokens':578,'cache_creation_input_tokens':10421,"
		 "'cache_read_input_tokens':72769},{'type':'fallback_message','model':'claude-opus-4-8',"
		 "'input_tokens':2,'output_tokens':13658,'cache_creation_input_tokens':0,"
		 "'cache_read_input_tokens':79214}]}",
		 {4, 151983, 10421, 0, 14236}, 298226, true, false, 0},
		{"beta_advisor_message_iteration_usage.py: with writes of an hour",
		 "{'input_tokens':10,'output_tokens':20,'cache_creation_input_tokens':0,"
		 "'cache_read_input_tokens':0,'iterations':[{'type':'message','input_tokens':10,"
		 "'output_tokens':20,'cache_creation_input_tokens':0,'cache_read_input_tokens':0},{"
		 "'type':'advisor_message','model':'m','input_tokens':100,'output_tokens':30,"
		 "'cache_read_input_tokens':5,'cache_creation_input_tokens':7,'cache_creation':{"
		 "'ephemeral_5m_input_tokens':3,'ephemeral_1h_input_tokens':4}}]}",
		 {110, 5, 3, 4, 50}, 1117, true, false, 0},
		{"iterations that name less than the whole: the whole stands",
		 "{'input_tokens':10,'output_tokens':20,'cache_read_input_tokens':500,'iterations':[{"
		 "'type':'message','input_tokens':10,'output_tokens':20}]}",
		 {10, 500, 0, 0, 20}, 480, true, false, 0},
		{"iterations: [] and null are none",
		 "{'input_tokens':10,'output_tokens':20,'iterations':[],'cache_creation':null}",
		 {10, 0, 0, 0, 20}, 330, true, false, 0},
		{"a gateway's total over Anthropic's shape",
		 "{'input_tokens':10,'output_tokens':20,'cache_read_input_tokens':500,'total_tokens':530}",
		 {10, 500, 0, 0, 20}, 480, true, false, 0},
		{"the same, without the cache (browser-use/browser-use#5685)",
		 "{'input_tokens':10,'output_tokens':20,'cache_read_input_tokens':500,'total_tokens':30}",
		 {10, 500, 0, 0, 20}, 480, true, false, 0},
		{"python-genai GenerateContentResponseUsageMetadata",
		 "{'promptTokenCount':1000,'cachedContentTokenCount':400,'toolUsePromptTokenCount':50,"
		 "'candidatesTokenCount':70,'thoughtsTokenCount':30,'totalTokenCount':1150,"
		 "'promptTokensDetails':[{'modality':'TEXT','tokenCount':1000}],'cacheTokensDetails':[{"
		 "'modality':'TEXT','tokenCount':400}],'candidatesTokensDetails':[{'modality':'TEXT',"
		 "'tokenCount':70}],'trafficType':'ON_DEMAND'}",
		 {650, 400, 0, 0, 100}, 3570, true, false, 0},
		{"Helicone/helicone#5604",
		 "{'promptTokenCount':15,'candidatesTokenCount':359,'totalTokenCount':1035,"
		 "'thoughtsTokenCount':661}",
		 {15, 0, 0, 0, 1020}, 15345, true, false, 0},
		{"simonw/llm-gemini#75, text and image",
		 "{'promptTokenCount':264,'candidatesTokenCount':104,'totalTokenCount':1357,"
		 "'thoughtsTokenCount':989,'promptTokensDetails':[{'modality':'TEXT','tokenCount':6},{"
		 "'modality':'IMAGE','tokenCount':258}]}",
		 {264, 0, 0, 0, 1093}, 17187, true, false, 0},
		{"BerriAI/litellm#10141: candidates include the thoughts",
		 "{'promptTokenCount':10,'candidatesTokenCount':120,'thoughtsTokenCount':100,"
		 "'totalTokenCount':130}",
		 {10, 0, 0, 0, 120}, 1830, true, false, 0},
		{"router-for-me/CLIProxyAPI#5733: thoughts and no candidate",
		 "{'promptTokenCount':21,'thoughtsTokenCount':60,'totalTokenCount':81}",
		 {21, 0, 0, 0, 60}, 963, true, false, 0},
		{"the same, through its OpenAI shape",
		 "{'completion_tokens':0,'total_tokens':81,'prompt_tokens':21,'completion_tokens_details':{"
		 "'reasoning_tokens':60}}",
		 {21, 0, 0, 0, 60}, 963, true, false, 0},
		{"strands-agents/harness-sdk#3892",
		 "{'promptTokenCount':100,'candidatesTokenCount':20,'toolUsePromptTokenCount':5,"
		 "'thoughtsTokenCount':30,'totalTokenCount':155}",
		 {105, 0, 0, 0, 50}, 1065, true, false, 0},
		{"Gemini's REST reference: tool results not in the total",
		 "{'promptTokenCount':100,'candidatesTokenCount':20,'toolUsePromptTokenCount':5,"
		 "'thoughtsTokenCount':30,'totalTokenCount':150}",
		 {105, 0, 0, 0, 50}, 1065, true, false, 0},
		{"a prompt that was blocked",
		 "{'promptTokenCount':7,'totalTokenCount':7}",
		 {7, 0, 0, 0, 0}, 21, true, false, 0},
		{"without thoughts, which the total has",
		 "{'promptTokenCount':7477,'candidatesTokenCount':2060,'totalTokenCount':11476}",
		 {7477, 0, 0, 0, 3999}, 82416, true, false, 1939},
		{"Live, with its details",
		 "{'promptTokenCount':50,'responseTokenCount':30,'thoughtsTokenCount':5,'totalTokenCount':85,"
		 "'promptTokensDetails':[{'modality':'AUDIO','tokenCount':50}],'responseTokensDetails':[{"
		 "'modality':'AUDIO','tokenCount':30}]}",
		 {50, 0, 0, 0, 35}, 675, true, false, 0},
		{"python-genai model_dump()",
		 "{'prompt_token_count':20,'candidates_token_count':198,'thoughts_token_count':405,"
		 "'total_token_count':623,'cached_content_token_count':null,'prompt_tokens_details':[{"
		 "'modality':'TEXT','token_count':20}]}",
		 {20, 0, 0, 0, 603}, 9105, true, false, 0},
		{"api-docs.deepseek.com kv_cache",
		 "{'prompt_tokens':500,'completion_tokens':40,'total_tokens':540,"
		 "'prompt_cache_hit_tokens':320,'prompt_cache_miss_tokens':180}",
		 {180, 320, 0, 0, 40}, 1236, true, false, 0},
		{"DeepSeek, both spellings",
		 "{'prompt_tokens':500,'completion_tokens':40,'total_tokens':540,'prompt_tokens_details':{"
		 "'cached_tokens':320},'prompt_cache_hit_tokens':320,'prompt_cache_miss_tokens':180,"
		 "'completion_tokens_details':{'reasoning_tokens':30}}",
		 {180, 320, 0, 0, 40}, 1236, true, false, 0},
		{"Moonshot: cached_tokens beside the sums",
		 "{'prompt_tokens':19,'completion_tokens':21,'total_tokens':40,'cached_tokens':10}",
		 {9, 10, 0, 0, 21}, 345, true, false, 0},
		{"mistralai UsageInfo",
		 "{'prompt_tokens':19,'completion_tokens':21,'total_tokens':40,'prompt_audio_seconds':{},"
		 "'num_cached_tokens':null}",
		 {19, 0, 0, 0, 21}, 372, true, false, 0},
		{"Mistral OCR: pages, no token",
		 "{'pages_processed':3,'doc_size_bytes':1000}",
		 {0, 0, 0, 0, 0}, 0, false, false, 0},
		{"docs.perplexity.ai: citations and reasoning in the total",
		 "{'prompt_tokens':14,'completion_tokens':100,'total_tokens':1314,'citation_tokens':200,"
		 "'num_search_queries':3,'reasoning_tokens':1000,'search_context_size':'low','cost':{"
		 "'total_cost':0.01}}",
		 {14, 0, 0, 0, 1300}, 19542, true, false, 1200},
		{"groq: times are not counts",
		 "{'queue_time':0.03,'prompt_tokens':18,'prompt_time':0.0008,'completion_tokens':556,"
		 "'completion_time':0.46,'total_tokens':574,'total_time':0.46}",
		 {18, 0, 0, 0, 556}, 8394, true, false, 0},
		{"LiteLLM types/utils.py Usage",
		 "{'prompt_tokens':2006,'completion_tokens':300,'total_tokens':2306,'prompt_tokens_details':{"
		 "'cached_tokens':1900,'cache_creation_tokens':6},'cache_creation_input_tokens':6,"
		 "'cache_read_input_tokens':1900}",
		 {100, 1900, 6, 0, 300}, 5393, true, false, 0},
		{"QuantumNous/new-api dto.Usage: the zeros of the other spelling",
		 "{'prompt_tokens':11,'completion_tokens':9,'total_tokens':20,'prompt_tokens_details':{"
		 "'cached_tokens':0,'text_tokens':3},'completion_tokens_details':{'text_tokens':0},"
		 "'input_tokens':0,'output_tokens':0,'input_tokens_details':null}",
		 {11, 0, 0, 0, 9}, 168, true, false, 0},
		{"QuantumNous/new-api#1358",
		 "{'completion_tokens':9,'prompt_tokens':11,'total_tokens':88}",
		 {11, 0, 0, 0, 77}, 1188, true, false, 68},
		{"both spellings that agree",
		 "{'prompt_tokens':11,'completion_tokens':9,'total_tokens':20,'input_tokens':11,"
		 "'output_tokens':9}",
		 {11, 0, 0, 0, 9}, 168, true, false, 0},
		{"browser-use/browser-use#5685: the total without the cache",
		 "{'prompt_tokens':994,'completion_tokens':40,'total_tokens':239,'prompt_tokens_details':{"
		 "'cached_tokens':795}}",
		 {199, 795, 0, 0, 40}, 1436, true, false, 0},
		{"BerriAI/litellm#13207: the total without reads and writes",
		 "{'prompt_tokens':141359,'completion_tokens':4156,'total_tokens':4244,"
		 "'prompt_tokens_details':{'cached_tokens':120269,'cache_creation_tokens':21002}}",
		 {88, 120269, 21002, 0, 4156}, 177443, true, false, 0},
		{"Bedrock API_runtime_TokenUsage",
		 "{'inputTokens':10,'outputTokens':20,'totalTokens':130,'cacheReadInputTokens':60,"
		 "'cacheWriteInputTokens':40}",
		 {10, 60, 40, 0, 20}, 498, true, false, 0},
		{"Bedrock, cacheDetails by ttl",
		 "{'inputTokens':10,'outputTokens':20,'totalTokens':130,'cacheReadInputTokens':60,"
		 "'cacheWriteInputTokens':40,'cacheDetails':[{'ttl':'1h','inputTokens':30},{'ttl':'5m',"
		 "'inputTokens':10}]}",
		 {10, 60, 10, 30, 20}, 566, true, false, 0},
		{"Bedrock without a cache",
		 "{'inputTokens':30,'outputTokens':628,'totalTokens':658}",
		 {30, 0, 0, 0, 628}, 9510, true, false, 0},
		{"maximhq/bifrost#6942: a stream that counts writes twice",
		 "{'inputTokens':4995,'outputTokens':19,'totalTokens':10007,'cacheWriteInputTokens':4993}",
		 {4995, 0, 4993, 0, 19}, 33994, true, false, 0},
		{"ai-sdk.dev LanguageModelUsage",
		 "{'inputTokens':100,'outputTokens':50,'totalTokens':150,'reasoningTokens':20,"
		 "'cachedInputTokens':60}",
		 {40, 60, 0, 0, 50}, 888, true, false, 0},
		{"docs.cohere.com chat: only billed_units are billed",
		 "{'billed_units':{'input_tokens':5,'output_tokens':418},'tokens':{'input_tokens':71,"
		 "'output_tokens':418},'cached_tokens':64}",
		 {5, 0, 0, 0, 418}, 6285, true, false, 0},
		{"Cohere without billed_units",
		 "{'tokens':{'input_tokens':71,'output_tokens':418}}",
		 {71, 0, 0, 0, 418}, 6483, true, false, 0},
		{"Cohere rerank: a search, no token",
		 "{'billed_units':{'search_units':1}}",
		 {0, 0, 0, 0, 0}, 0, false, false, 0},
		{"Ollama docs/api.md",
		 "{'prompt_eval_count':26,'eval_count':298,'total_duration':10706818083,"
		 "'load_duration':6338219291,'eval_duration':4232710000}",
		 {26, 0, 0, 0, 298}, 4548, true, false, 0},
		{"an object with nothing in it",
		 "{}",
		 {0, 0, 0, 0, 0}, 0, false, false, 0},
		{"all zero",
		 "{'prompt_tokens':0,'completion_tokens':0,'total_tokens':0}",
		 {0, 0, 0, 0, 0}, 0, false, false, 0},
		{"a total alone",
		 "{'total_tokens':5}",
		 {0, 0, 0, 0, 5}, 75, true, false, 5},
		{"a prompt and a total",
		 "{'prompt_tokens':1000,'total_tokens':6000}",
		 {1000, 0, 0, 0, 5000}, 78000, true, false, 5000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct usage u;

		if (read_text(table[i].usage, &u) != 0)
			fail_msg("%s: refused, %s", table[i].source, u.field);
		for (int c = 0; c < PRICE_CLASSES; c++)
			if (u.tokens.count[c] != table[i].count[c])
				fail_msg("%s: class %d is %lld", table[i].source, c, (long long)u.tokens.count[c]);
		if (cost_of(&u.tokens) != table[i].micros)
			fail_msg("%s: costs %lld", table[i].source, (long long)cost_of(&u.tokens));
		if (u.counted != table[i].counted || u.no_input != table[i].no_input || u.rest != table[i].rest)
			fail_msg("%s: counted %d, no input %d, rest %lld", table[i].source, u.counted, u.no_input,
			         (long long)u.rest);
		assert_string_equal(u.field, "");
	}
}

static void test_refusals_name_the_member(void **state)
{
	static const struct {
		const char *why, *usage, *field;
	} table[] = {
		{"two shapes that disagree",
		 "{'prompt_tokens':0,'completion_tokens':0,'input_tokens':1000,'output_tokens':5000}", "input_tokens"},
		{"two shapes, one of which has an output only",
		 "{'prompt_tokens':1000,'completion_tokens':10,'output_tokens':5000}", "output_tokens"},
		{"Gemini's and OpenAI's",
		 "{'prompt_tokens':10,'completion_tokens':10,'promptTokenCount':1000,"
		 "'candidatesTokenCount':10}", "promptTokenCount"},
		{"candidates and a response",
		 "{'promptTokenCount':10,'candidatesTokenCount':1,'responseTokenCount':5000}", "responseTokenCount"},
		{"two totals",
		 "{'prompt_tokens':10,'completion_tokens':1,'total_tokens':11,'totalTokens':5000}", "totalTokens"},
		{"two caches",
		 "{'prompt_tokens':500,'completion_tokens':1,'prompt_tokens_details':{'cached_tokens':20},"
		 "'prompt_cache_hit_tokens':400}", "prompt_cache_hit_tokens"},
		{"a cache that is inside and beside",
		 "{'input_tokens':5,'input_tokens_details':{'cached_tokens':1},'cache_read_input_tokens':1}", "cache_read_input_tokens"},
		{"a misspelt count, no total",
		 "{'prompt_tokens':1000,'completion_token':5000}", "completion_token"},
		{"a misspelt count as text",
		 "{'prompt_tokens':1000,'completion_token':'5000'}", "completion_token"},
		{"a misspelt count with a fraction",
		 "{'prompt_tokens':1000,'completion_token':5000.0}", "completion_token"},
		{"a misspelt count without the word",
		 "{'prompt_tokens':1000,'completions':5000}", "completions"},
		{"a new count of Anthropic's shape, which has no total",
		 "{'input_tokens':10,'output_tokens':10,'video_tokens':5000}", "video_tokens"},
		{"a count in a record that is not known",
		 "{'input_tokens':10,'output_tokens':10,'advisor':{'input_tokens':5000}}", "advisor"},
		{"a count among what are no tokens",
		 "{'input_tokens':10,'output_tokens':10,'server_tool_use':{'web_search_requests':1,"
		 "'output_tokens':5000}}", "server_tool_use"},
		{"a count in a list that is not known",
		 "{'input_tokens':10,'output_tokens':10,'steps':[{'n':[{'tokens':5000}]}]}", "steps"},
		{"writes of another time",
		 "{'input_tokens':10,'output_tokens':10,'cache_creation':{'ephemeral_24h_input_tokens':50}}", "cache_creation"},
		{"a count that is larger than the total",
		 "{'prompt_tokens':1000,'completion_tokens':0,'completion_token':5000,'total_tokens':1000}", "completion_token"},
		{"a total below its parts",
		 "{'prompt_tokens':1000,'completion_tokens':5000,'total_tokens':1000}", "total_tokens"},
		{"a total of zero",
		 "{'prompt_tokens':1000,'completion_tokens':5000,'total_tokens':0}", "total_tokens"},
		{"Gemini's total below its parts",
		 "{'promptTokenCount':10,'candidatesTokenCount':10,'thoughtsTokenCount':100,"
		 "'totalTokenCount':50}", "totalTokenCount"},
		{"reasoning that no total has",
		 "{'prompt_tokens':1000,'completion_tokens':10,'total_tokens':1010,"
		 "'completion_tokens_details':{'reasoning_tokens':4990}}", "completion_tokens_details"},
		{"audio beyond the completion",
		 "{'prompt_tokens':1000,'completion_tokens':10,'total_tokens':1010,"
		 "'completion_tokens_details':{'audio_tokens':4990}}", "completion_tokens_details"},
		{"audio beyond the prompt",
		 "{'prompt_tokens':10,'completion_tokens':10,'prompt_tokens_details':{'audio_tokens':4990}}", "prompt_tokens_details"},
		{"modalities beyond their sum",
		 "{'promptTokenCount':10,'candidatesTokenCount':10,'totalTokenCount':20,"
		 "'promptTokensDetails':[{'modality':'TEXT','tokenCount':10},{'modality':'AUDIO',"
		 "'tokenCount':5000}]}", "promptTokensDetails"},
		{"hits and misses beyond the prompt",
		 "{'prompt_tokens':10,'completion_tokens':1,'prompt_cache_hit_tokens':5,"
		 "'prompt_cache_miss_tokens':5000}", "prompt_cache_miss_tokens"},
		{"a cache beyond the prompt",
		 "{'prompt_tokens':1,'prompt_tokens_details':{'cached_tokens':2}}", "prompt_tokens_details"},
		{"a cache beyond Gemini's prompt",
		 "{'promptTokenCount':1,'cachedContentTokenCount':2}", "cachedContentTokenCount"},
		{"an hour beyond all writes",
		 "{'input_tokens':1,'cache_creation_input_tokens':1,'cache_creation':{"
		 "'ephemeral_1h_input_tokens':2}}", "cache_creation"},
		{"iterations that are none",
		 "{'input_tokens':1,'output_tokens':1,'iterations':[5]}", "iterations"},
		{"iterations with a count that is none",
		 "{'input_tokens':1,'output_tokens':1,'iterations':[{'input_tokens':-5000}]}", "iterations"},
		{"iterations in iterations",
		 "{'input_tokens':1,'output_tokens':1,'iterations':[{'iterations':[{'input_tokens':1}]}]}", "iterations"},
		{"negative",
		 "{'prompt_tokens':-1,'completion_tokens':1}", "prompt_tokens"},
		{"a fraction",
		 "{'prompt_tokens':1,'completion_tokens':1.0}", "completion_tokens"},
		{"an exponent",
		 "{'prompt_tokens':1,'completion_tokens':1e3}", "completion_tokens"},
		{"beyond counting",
		 "{'prompt_tokens':1000000001}", "prompt_tokens"},
		{"true",
		 "{'prompt_tokens':true}", "prompt_tokens"},
		{"text",
		 "{'prompt_tokens':'1'}", "prompt_tokens"},
		{"a negative total",
		 "{'prompt_tokens':1,'completion_tokens':1,'total_tokens':-2}", "total_tokens"},
		{"a negative part",
		 "{'prompt_tokens':1,'completion_tokens':1,'completion_tokens_details':{'audio_tokens':-1}}", "audio_tokens"},
		{"a negative reading",
		 "{'input_tokens':1,'cache_read_input_tokens':-2}", "cache_read_input_tokens"},
		{"a negative count that is not known",
		 "{'input_tokens':1,'output_tokens':1,'audio_tokens':-2}", "audio_tokens"},
		{"details that are no record",
		 "{'prompt_tokens':5,'prompt_tokens_details':7}", "prompt_tokens_details"},
		{"a sum beyond counting",
		 "{'promptTokenCount':1000000000,'toolUsePromptTokenCount':1}", "usage"},
		{"a shape of nobody's",
		 "{'something':'else'}", "usage"},
		{"a list",
		 "[]", "usage"},
		{"the answer instead of its usage",
		 "{'usage':{'prompt_tokens':5,'completion_tokens':5}}", "usage"},
		{"tokens without more",
		 "{'tokens':5}", "tokens"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct usage u;

		if (read_text(table[i].usage, &u) == 0)
			fail_msg("%s: taken", table[i].why);
		if (strcmp(u.field, table[i].field) != 0)
			fail_msg("%s: refused for %s", table[i].why, u.field);
	}
}

/* The name is the caller's: it is not repeated where it is no plain name. */
static void test_names_that_are_no_names(void **state)
{
	static const char *const names[] = {"a token\\n", "<token>", "", "\\u00e9token",
	                                    "token_of_a_name_that_goes_on_and_on_and_on_and_on_and_on_and_on_x"};
	char text[OBJECT_MAX];
	struct usage u;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), "{'input_tokens':1,'%s':5}", names[i]);
		assert_int_equal(read_text(text, &u), -1);
		assert_string_equal(u.field, "usage");
	}
}

static void test_no_usage_at_all(void **state)
{
	struct usage u;

	(void)state;
	assert_int_equal(usage_read(NULL, &u), -1);
	assert_string_equal(u.field, "usage");
}

/* As many iterations as are taken, and one more. */
static void test_many_iterations(void **state)
{
	static const char entry[] = "{\"output_tokens\":2}";
	char error[JSON_ERROR_MAX];

	(void)state;
	for (int count = 1000; count <= 1001; count++) {
		struct buf text;
		struct json *usage;
		struct usage u;

		buf_init(&text, 65536);
		buf_add_text(&text, "{\"output_tokens\":1,\"iterations\":[");
		for (int i = 0; i < count; i++) {
			buf_add_text(&text, i > 0 ? "," : "");
			buf_add_text(&text, entry);
		}
		buf_add_text(&text, "]}");
		usage = json_parse(buf_text(&text), text.length, false, error);
		assert_non_null(usage);
		assert_int_equal(usage_read(usage, &u), count == 1000 ? 0 : -1);
		if (count == 1000)
			assert_int_equal(u.tokens.count[PRICE_OUTPUT], 2000);
		json_free(usage);
		buf_free(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_objects),
		cmocka_unit_test(test_refusals_name_the_member),
		cmocka_unit_test(test_names_that_are_no_names),
		cmocka_unit_test(test_no_usage_at_all),
		cmocka_unit_test(test_many_iterations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
