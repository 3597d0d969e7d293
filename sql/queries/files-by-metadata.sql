-- files-by-metadata: files of one type whose metadata have given values, with all their metadata
-- :filetype  the type of the files
-- :where     COLUMN=VALUE, or several of those with commas between
-- example: facade sql files-by-metadata --filetype calexp --where visit=903334,ccd=16
\set filetype calexp
\set where visit=903334,ccd=16
select d.filename || d.compression as filename, d.filesize, l.archive_name as archive, l.path, f.metadata
  from files_where(:'filetype', :'where') f
  join desfile d on d.id = f.desfile_id
  left join file_location l on l.desfile_id = d.id
 order by d.filename, d.compression, l.archive_name;
