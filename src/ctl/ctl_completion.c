#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

static const struct {
	const char *words, *synopsis;
} commands[] = {
#define CTL(words, handler, synopsis, help) {words, synopsis},
#include "ctl/ctl_commands.def"
#undef CTL
};

/* Prints the options that the synopsis names, with a blank before each. */
static void print_options(const char *synopsis)
{
	const char *option = strstr(synopsis, "--");

	for (; option != NULL; option = strstr(option, "--")) {
		const size_t length = strspn(option, "-abcdefghijklmnopqrstuvwxyz0123456789");

		(void)printf(" %.*s", (int)length, option);
		option += length;
	}
}

/* In the script, words[] are those before the cursor without octroictl's own options, and rest counts the words behind
 * a whole command.  A file name is completed by readline where nothing else fits. */
static const char head[] =
	"# bash completion of octroictl: eval \"$(octroictl completion bash)\"\n"
	"_octroictl()\n"
	"{\n"
	"\tlocal current=\"${COMP_WORDS[COMP_CWORD]}\" line=\"\" word skip=0 i found=\"\" options=\"\"\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tword=\"${COMP_WORDS[i]}\"\n"
	"\t\tif ((skip)); then skip=0; continue; fi\n"
	"\t\tcase \"$word\" in\n"
	"\t\t-c) skip=1 ;;\n"
	"\t\t--json | --csv) ;;\n"
	"\t\t*) line+=\"$word \" ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tif ((skip)); then COMPREPLY=($(compgen -f -- \"$current\")); return; fi\n"
	"\tcase \"$line\" in\n";

static const char tail[] =
	"\t*) found=\"\" ;;\n"
	"\tesac\n"
	"\tif [[ -n $options ]]; then\n"
	"\t\tCOMPREPLY=($(compgen -W \"$options --json --help\" -- \"$current\"))\n"
	"\t\t[[ $current == -* ]] || COMPREPLY+=($(compgen -f -- \"$current\"))\n"
	"\t\treturn\n"
	"\tfi\n"
	"\twhile read -r word; do\n"
	"\t\t[[ \"$word \" == \"$line\"* ]] && { word=\"${word#\"$line\"}\"; found+=\" ${word%% *}\"; }\n"
	"\tdone <<'END'\n";

int ctl_completion(struct ctl *c)
{
	const char *shell;

	if (ctl_arguments(c, NULL, &shell, 1, 1) < 0)
		return CTL_FAILED;
	if (strcmp(shell, "bash") != 0)
		return ctl_wrong("there is a completion for bash only, not for '%s'", shell);
	(void)fputs(head, stdout);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		(void)printf("\t'%s '*) options=\"", commands[i].words);
		print_options(commands[i].synopsis);
		(void)fputs(" \" ;;\n", stdout);
	}
	(void)fputs(tail, stdout);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		(void)puts(commands[i].words);
	(void)fputs("END\n"
	            "\tCOMPREPLY=($(compgen -W \"$found\" -- \"$current\"))\n"
	            "}\n"
	            "complete -F _octroictl octroictl\n",
	            stdout);
	return CTL_OK;
}
