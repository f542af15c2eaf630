"""Templates: what an owner may write, and what a lead's fields may do."""

import pytest

from mail.message import LetterInvalid
from mail.render import Template, TemplateInvalid

FIELDS = {"name": "Łucja", "company": "<b>Róża & Syn</b>"}


def render(source: str, fields: dict[str, str], *, html: bool) -> str:
    return Template(source, "letter.txt", html=html).render(fields)


def check(source: str) -> None:
    Template(source, "letter.txt").check()


class TestALetter:
    def test_prints_fields(self) -> None:
        assert render("Dear {{ name }},\n", FIELDS, html=False) == "Dear Łucja,\n"

    def test_filters_and_chooses(self) -> None:
        template = "{% if name == 'Łucja' and city is undefined %}{{ name|upper }}{% else %}no{% endif %}"

        assert render(template, FIELDS, html=False) == "ŁUCJA"

    def test_escapes_fields_in_html_and_only_there(self) -> None:
        assert "&lt;b&gt;" in render("<p>{{ company }}</p>", FIELDS, html=True)
        assert "<b>" in render("{{ company }}", FIELDS, html=False)

    def test_a_template_in_a_field_stays_text(self) -> None:
        assert render("{{ name }}", {"name": "{{ 7*7 }}"}, html=False) == "{{ 7*7 }}"


@pytest.mark.parametrize("empty", ["", " ", "\u00a0\t", "\u200b"])
@pytest.mark.parametrize("html", [False, True])
class TestAnEmptyField:
    @pytest.mark.parametrize(
        ("template", "result"),
        [
            ('{{ city|default("your city") }}', "your city"),
            ('{{ city|default("your city")|upper }}', "YOUR CITY"),
            ('{{ city|default("") }}.', "."),
            ("{% if city is defined %}{{ city }}{% else %}none{% endif %}", "none"),
            ("{% if city is undefined %}none{% endif %}", "none"),
            ("{% if city %}{{ city }}{% else %}none{% endif %}", "none"),
            ("{{ city if city else 'none' }}", "none"),
            ("{{ city or 'none' }}", "none"),
            ("{% if not city %}none{% endif %}", "none"),
            ("{% if city == '' %}none{% endif %}{% if city != '' %}{{ city }}{% endif %}", "none"),
            ("{% if '' == city %}none{% endif %}", "none"),
            ("{% if city == 'Łódź' %}{{ city }}{% else %}none{% endif %}", "none"),
            ("{% if city == town %}none{% endif %}", "none"),
            ("{% if 'Ł' in city %}{{ city }}{% else %}none{% endif %}", "none"),
            ("{% if '' in city %}none{% endif %}", "none"),
            ("{% if city|length > 0 %}{{ city }}{% else %}none{% endif %}", "none"),
        ],
    )
    def test_counts_as_missing(self, empty: str, html: bool, template: str, result: str) -> None:
        assert render(template, {"city": empty, "town": empty}, html=html) == result

    @pytest.mark.parametrize(
        "printed",
        ["city", "city|upper", "city|title", "city|e", "city|trim", "city|urlencode", "city|lower|default('x')"],
    )
    def test_is_refused_where_it_is_printed_with_its_name_and_the_templates_line(
        self, empty: str, html: bool, printed: str
    ) -> None:
        with pytest.raises(
            LetterInvalid, match=r"^'city' is empty: fill it in, or give it a default in letter\.txt line 3$"
        ):
            render(f"Dear {{{{ name }}}},\n\nhow is {{{{ {printed} }}}}?\n", {"name": "Anna", "city": empty}, html=html)


class TestAMistake:
    @pytest.mark.parametrize(
        "printed", ["{{ city }}", "{% if city %}x{% endif %}", "{{ city|upper }}", "{{ 'a' < city }}"]
    )
    def test_a_field_that_no_lead_has_is_named_with_the_templates_line(self, printed: str) -> None:
        with pytest.raises(
            TemplateInvalid, match=r"^letter\.txt line 3: 'city' is undefined; the fields are company, name$"
        ):
            render(f"Dear\n\n{printed}\n", FIELDS, html=False)

    def test_a_comparison_that_makes_no_sense_is_told_with_its_line(self) -> None:
        with pytest.raises(TemplateInvalid, match=r"^letter\.txt line 2: the template fails: "):
            render("Dear\n{% if name > 3 %}x{% endif %}", FIELDS, html=False)

    def test_a_syntax_error_is_told_with_its_line(self) -> None:
        with pytest.raises(TemplateInvalid, match=r"^letter\.txt line 2: "):
            check("Dear\n{{ name\n")

    @pytest.mark.parametrize(
        ("template", "written"),
        [
            ("{{ name }, hello", "{{ name }"),
            ("{{name}", "{{name}"),
            ("{{ name|default('you') } x", "{{ name|default('you') }"),
            ("{ name }}", "{ name }}"),
            ("{name|upper}}", "{name|upper}}"),
            ("{{{name}}}", "{{{name}}}"),
            ("{{ name }}}", "}}}"),
        ],
    )
    def test_a_field_with_a_brace_too_few_or_too_many_is_told_with_its_line(self, template: str, written: str) -> None:
        with pytest.raises(TemplateInvalid) as refused:
            check(f"Dear {{{{ name }}}},\n{template}\n")

        assert str(refused.value) == (
            f"letter.txt line 2: {written} has not two braces on each side; a field is written {{{{ name }}}}"
        )

    @pytest.mark.parametrize(
        "template", ["a {color: red} b", "{x: {{ name }}}", "{ {{ name }} }", "{name}", "{% raw %}{name}}{% endraw %}"]
    )
    def test_other_braces_are_text(self, template: str) -> None:
        check(template)

    @pytest.mark.parametrize(
        ("template", "told"),
        [
            ("{{ first name }}", r"'name' after a field's name; a name has letters, digits and _, like first_name"),
            ("{{ first-name }}", r"'-' is not available; "),
            ("{{ contact.name }}", r"'\.' is not available; "),
            ("{% autoescape false %}{{ name }}{% endautoescape %}", "autoescape is not available; "),
            ("{% set name = 'x' %}", "set is not available; "),
        ],
    )
    def test_of_another_template_language_is_told_by_what_was_typed(self, template: str, told: str) -> None:
        with pytest.raises(TemplateInvalid, match=rf"^letter\.txt line 2: {told}"):
            check(f"Dear\n{template}\n")

    @pytest.mark.parametrize("html", [False, True])
    @pytest.mark.parametrize("printed", ["none", "None", "true", "city|default(none)", "not city", "name == company"])
    def test_a_letter_never_says_none_true_or_false(self, printed: str, html: bool) -> None:
        with pytest.raises(
            TemplateInvalid, match=r"^letter\.txt line 2: the template fails: it prints (None|True|False);"
        ):
            render(f"Dear\n{{{{ {printed} }}}}", {**FIELDS, "city": "", "none": "x", "true": "y"}, html=html)

    @pytest.mark.parametrize("printed", ["self", "name|default(self)"])
    def test_what_is_the_template_itself_is_no_field(self, printed: str) -> None:
        with pytest.raises(TemplateInvalid, match=r"^letter\.txt line 1: 'self' cannot be a field"):
            render(f"{{{{ {printed} }}}}", {**FIELDS, "self": "x"}, html=False)

    @pytest.mark.parametrize("used", ["1e400", "name|default(9e999)"])
    def test_a_number_that_no_computer_holds_is_told_with_its_line(self, used: str) -> None:
        with pytest.raises(TemplateInvalid, match=r"^letter\.txt line 2: a number is too large$"):
            check(f"Dear\n{{{{ {used} }}}}")

    def test_an_unknown_filter_is_told_with_what_there_is(self) -> None:
        with pytest.raises(TemplateInvalid, match=r"^letter\.txt line 2: the filter 'replace' is not one of"):
            check("Dear\n{{ name|replace('a', 'b') }}")

    def test_a_control_character_is_told_with_its_line(self) -> None:
        with pytest.raises(TemplateInvalid, match=r"^letter\.txt line 2: there is a control character \('\\x1b'\)$"):
            check("Dear\n\x1b[2J{{ name }}\n")

    def test_a_second_line_is_told_where_only_one_may_be(self) -> None:
        with pytest.raises(TemplateInvalid, match=r"^subject\.txt line 1: there is a second line$"):
            Template("Dear\n{{ name }}", "subject.txt", lines=False).check()

    @pytest.mark.parametrize("source", ["", "<p> </p>", "<p hidden>{{ name }}</p>", "<!-- {{ name }} -->"])
    def test_html_that_never_shows_anything_is_told(self, source: str) -> None:
        with pytest.raises(TemplateInvalid, match=r"^letter\.html is empty: "):
            Template(source, "letter.html", html=True).check()

    @pytest.mark.parametrize(
        "source", ["{{ name }}", "<p>{{ name }}</p>", "<img src='{{ name }}'>", "{% if name %}{% endif %}"]
    )
    def test_html_that_may_show_something_is_taken(self, source: str) -> None:
        Template(source, "letter.html", html=True).check()

    @pytest.mark.parametrize("source", ["", " \n", "\ufeff\u200b"])
    def test_an_empty_one_is_told(self, source: str) -> None:
        with pytest.raises(TemplateInvalid, match=r"^letter\.txt is empty: "):
            check(source)


class TestLeavingTheSandbox:
    @pytest.mark.parametrize(
        "template",
        [
            "{{ ''.__class__.__mro__ }}",
            "{{ name['__class__'] }}",
            "{{ name|attr('__class__') }}",
            "{{ self._TemplateReference__context }}",
            "{{ cycler.__init__.__globals__ }}",
            "{{ lipsum() }}",
            "{% include '/etc/passwd' %}",
            "{% import 'os' as os %}",
            "{% extends 'x' %}",
            "{{ '{0.__class__}'.format(name) }}",
            "{{ '%s' % name }}",
            "{{ name|format(name) }}",
            "{{ name|map(attribute='__class__') }}",
            "{{ [name].pop() }}",
            "{{ {}.items() }}",
            "{{ name[0] }}",
            "{{ super() }}",
            "{% raw %}{{ x }}{% endraw %}{{ name.upper() }}",
            "{% block x %}{% endblock %}",
            "{% call name() %}{% endcall %}",
            "{% filter upper %}x{% endfilter %}",
            "{% with a = name %}{{ a }}{% endwith %}",
            "{% set a = name %}",
            "{{ name is sameas name }}",
            "{{ 2 ** 100000 }}",
            "{{ -name }}",
        ],
    )
    def test_is_refused(self, template: str) -> None:
        with pytest.raises(TemplateInvalid):
            check(template)


class TestAnEndlessTemplate:
    @pytest.mark.parametrize(
        "template",
        [
            "{% for i in range(1000000000) %}x{% endfor %}",
            "{% for a in name %}{% for b in name %}x{% endfor %}{% endfor %}",
            "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
            "{{ 'a' * 10 ** 9 }}",
            "{{ name ~ name }}",
            "{% set name = name ~ name %}",
            "{{ name.ljust(1000000000) }}",
            "{{ '%1000000000d' % 1 }}",
            "{{ 'x'|center(1000000000) }}",
        ],
    )
    def test_is_refused_before_it_starts(self, template: str) -> None:
        with pytest.raises(TemplateInvalid):
            check(template)

    def test_a_huge_result_is_cut_short(self) -> None:
        with pytest.raises(LetterInvalid, match="longer than"):
            render("{{ name }}" * 300, {"name": "x" * 10_000}, html=False)

    @pytest.mark.parametrize(
        "template",
        [
            "{{ " + "(" * 5000 + "name" + ")" * 5000 + " }}",
            "{% if name %}" * 150 + "{% endif %}" * 150,
            "{{ name" + "|upper" * 60 + " }}",
            "{{ name" + "|upper" * 250 + " }}",
            "{{ name" + "|upper" * 5000 + " }}",
            "{{ " + "not " * 5000 + "name }}",
            "{{ name" + " and name" * 5000 + " }}",
        ],
    )
    def test_deep_nesting_is_refused(self, template: str) -> None:
        with pytest.raises(TemplateInvalid, match="nested too deeply"):
            check(template)

    def test_an_endless_template_or_number_is_refused(self) -> None:
        for template in ("x" * 200_001, "{{ " + "9" * 5000 + " }}"):
            with pytest.raises(TemplateInvalid, match="long"):
                check(template)

    def test_filters_on_filters_grow_no_faster_than_the_template(self) -> None:
        result = render("{{ name" + "|e|urlencode" * 15 + " }}", {"name": "&" * 100}, html=False)

        assert len(result) < 20_000
