-- files-by-tag: files of one type in the attempts that carry a tag (DMTN-059)
-- :tag       the tag
-- :filetype  the type of the files
-- example: facade sql files-by-tag --tag PROTO-0.1 --filetype deepcoadd_calexp
\set tag PROTO-0.1
\set filetype deepcoadd_calexp
select f.path || '/' || f.filename as file
  from file_archive_info f, desfile d, proctag t
 where d.filetype = :'filetype'
   and t.tag = :'tag'
   and t.pfw_attempt_id = d.pfw_attempt_id
   and f.desfile_id = d.id
 order by f.filename;
