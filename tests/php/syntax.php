<?php
/* Names each use of PHP newer than 7.4 in a file: php syntax.php FILE.  The parser is Debian's php-nikic-php-parser. */
declare(strict_types=1);

use PhpParser\Node;

require 'PhpParser/autoload.php';

const FUNCTIONS = ['str_contains', 'str_starts_with', 'str_ends_with', 'get_debug_type', 'array_is_list', 'fsync', 'fdatasync',
    'enum_exists', 'get_resource_id', 'array_find', 'json_validate', 'mb_str_pad', 'ini_parse_quantity'];
const TYPES = ['mixed', 'static', 'never', 'false', 'null', 'true'];

function newer(Node $node): ?string
{
    $classes = [Node\Expr\Match_::class, Node\Expr\NullsafePropertyFetch::class, Node\Expr\NullsafeMethodCall::class,
        Node\Stmt\Enum_::class, Node\UnionType::class, Node\IntersectionType::class, Node\VariadicPlaceholder::class];
    if (in_array(get_class($node), $classes, true)) {
        return $node->getType();
    }
    if ($node instanceof Node\Expr\Throw_ && !isset($node->statement)) {
        return 'throw as an expression';
    }
    if ($node instanceof Node\Arg && $node->name !== null) {
        return 'a named argument';
    }
    if ($node instanceof Node\Param && $node->flags !== 0) {
        return 'a promoted parameter';
    }
    if (($node instanceof Node\Stmt\Property || $node instanceof Node\Stmt\Class_) && ($node->flags & Node\Stmt\Class_::MODIFIER_READONLY)) {
        return 'readonly';
    }
    if ($node instanceof Node\Stmt\ClassConst && ($node->flags & Node\Stmt\Class_::MODIFIER_FINAL)) {
        return 'a final constant';
    }
    if ($node instanceof Node\Stmt\Catch_ && $node->var === null) {
        return 'a catch without a variable';
    }
    if ($node instanceof Node\Expr\ArrayItem && $node->unpack) {
        return 'unpacking in an array, which takes text keys since 8.1';
    }
    if ($node instanceof Node\Expr\ClassConstFetch && $node->name instanceof Node\Identifier
        && $node->name->name === 'class' && !$node->class instanceof Node\Name) {
        return '::class of an object';
    }
    if ($node instanceof Node\Expr\FuncCall && $node->name instanceof Node\Name
        && in_array($node->name->toLowerString(), FUNCTIONS, true) && !isset($node->asked)) {
        return $node->name->toLowerString() . '()';
    }
    foreach (['type', 'returnType'] as $name) {
        $type = $node->$name ?? null;
        $type = $type instanceof Node\NullableType ? $type->type : $type;
        if (($type instanceof Node\Identifier || $type instanceof Node\Name) && in_array(strtolower((string) $type), TYPES, true)) {
            return "the type $type";
        }
    }
    return null;
}

/* Tokens for which the syntax tree has no node of its own. */
function newer_tokens(string $code): array
{
    $found = [];
    $tokens = PhpToken::tokenize($code);
    $tokens = array_values(array_filter($tokens, fn ($token) => !$token->is([T_WHITESPACE, T_COMMENT, T_DOC_COMMENT])));
    foreach ($tokens as $i => $token) {
        $next = $tokens[$i + 1] ?? null;
        // PHP 7.4 reads an attribute as a comment to the end of the line.
        if ($token->is(T_ATTRIBUTE)) {
            for ($end = $i; $tokens[$end]->text !== ']'; $end++);
            if (!isset($tokens[$end + 1]) || $tokens[$end + 1]->line === $token->line || $tokens[$i + 1]->text[0] !== '\\') {
                $found[] = "$token->line: an attribute with code on its line, or one of a class of its own";
            }
        }
        // A comma before the parenthesis that ends a list of parameters.
        if ($token->text === ',' && $next !== null && $next->text === ')') {
            for ($at = $i, $depth = 1; $depth > 0; $at--) {
                $depth += ($tokens[$at]->text === ')') - ($tokens[$at]->text === '(');
            }
            if ($tokens[$at]->is([T_FUNCTION, T_FN, T_USE]) || ($tokens[$at - 1] ?? $token)->is([T_FUNCTION, T_FN])) {
                $found[] = "$token->line: a comma after the last parameter";
            }
        }
    }
    return $found;
}

$code = file_get_contents($argv[1]);
$found = newer_tokens($code);
$factory = new PhpParser\ParserFactory();
$parser = method_exists($factory, 'createForNewestSupportedVersion')
    ? $factory->createForNewestSupportedVersion() : $factory->create(PhpParser\ParserFactory::ONLY_PHP7);
$tree = $parser->parse($code);
$finder = new PhpParser\NodeFinder();
foreach ($finder->findInstanceOf($tree, Node\Stmt\Expression::class) as $statement) {
    if ($statement->expr instanceof Node\Expr\Throw_) {
        $statement->expr->statement = true; // so the parser 5 has a throw that is a statement
    }
}
// A function that function_exists() asked about may be newer.
foreach ($finder->findInstanceOf($tree, Node\Expr\FuncCall::class) as $call) {
    if ($call->name instanceof Node\Name && $call->name->toLowerString() === 'function_exists') {
        $asked[] = $call->args[0]->value->value ?? '';
    }
}
foreach ($finder->findInstanceOf($tree, Node\Expr\FuncCall::class) as $call) {
    if ($call->name instanceof Node\Name && in_array($call->name->toLowerString(), $asked ?? [], true)) {
        $call->asked = true;
    }
}
foreach ($finder->find($tree, fn () => true) as $node) {
    $newer = newer($node);
    if ($newer !== null) {
        $found[] = $node->getStartLine() . ": $newer";
    }
}
echo implode("\n", $found), "\n";
exit($found ? 1 : 0);
