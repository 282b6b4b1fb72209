"""PDF files, written by hand so that no fonts and no other programs are needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from trivec.errors import InputError
from trivec.search.readers import ReadReport, read_documents

pypdf = pytest.importorskip("pypdf")


def write_pdf(path: Path, pages: list[str], title: str = "") -> Path:
    """A PDF with one line of Helvetica a page; an empty string gives a page without text."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for words in pages:
        drawing = f"BT /F1 12 Tf 72 700 Td ({words}) Tj ET".encode() if words else b""
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(len(objects))
    references = b" ".join(b"%d 0 R" % kid for kid in kids)
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (references, len(kids))
    objects.append(b"<< /Title (%s) >>" % title.encode())
    data, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    data += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    start = data.index(b"xref\n")
    data += b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\n" % (len(objects) + 1, len(objects))
    path.write_bytes(data + b"startxref\n%d\n%%%%EOF\n" % start)
    return path


def test_pages_are_joined_and_the_title_is_read(tmp_path: Path) -> None:
    file = write_pdf(tmp_path / "a.pdf", ["First page.", "Second page."], title="A report")
    [document] = read_documents(file)
    assert document.text == "First page.\n\nSecond page."
    assert document.title == "A report"
    assert document.metadata == {"path": "a.pdf", "folder": "", "format": "pdf", "pages": 2}


def test_pages_without_text_give_a_note(tmp_path: Path) -> None:
    report = ReadReport()
    assert list(read_documents(write_pdf(tmp_path / "scan.pdf", ["", ""]), report=report)) == []
    assert (report.blank, report.noted) == (1, 1)
    assert any("no text on 2 pages, perhaps scans" in line for line in report.warnings)


def test_encrypted(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter(clone_from=write_pdf(tmp_path / "a.pdf", ["Secret."]))
    writer.encrypt("password", algorithm="RC4-128")
    writer.write(tmp_path / "locked.pdf")
    with pytest.raises(InputError, match=r"locked\.pdf: encrypted with a password: save it without one"):
        list(read_documents(tmp_path / "locked.pdf"))


def test_encrypted_with_an_empty_password_is_read(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter(clone_from=write_pdf(tmp_path / "a.pdf", ["Open."]))
    writer.encrypt("", owner_password="owner", algorithm="RC4-128")
    writer.write(tmp_path / "b.pdf")
    assert next(iter(read_documents(tmp_path / "b.pdf"))).text == "Open."


def test_cut_off_file_is_refused_or_repaired_but_never_crashes(tmp_path: Path) -> None:
    whole = write_pdf(tmp_path / "a.pdf", ["First page.", "Second page."]).read_bytes()
    for cut in range(0, len(whole), 50):
        file = tmp_path / "cut.pdf"
        file.write_bytes(whole[:cut])
        try:
            list(read_documents(file, report=ReadReport()))
        except InputError as error:
            assert "no readable PDF" in str(error)
